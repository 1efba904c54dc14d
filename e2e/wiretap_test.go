package e2e

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// wiretap is an HTTPS server of its own that hears every byte of a request,
// secrets included, and passes it on to a fakeserver, unless it has an answer
// of its own.
type wiretap struct {
	URL, CA string

	pass http.HandlerFunc // passes a request on

	mu     sync.Mutex
	answer http.HandlerFunc
	heard  []string
}

// tap listens in front of a server. A nil answer passes everything on.
func tap(t *testing.T, to *server, answer http.HandlerFunc) *wiretap {
	t.Helper()
	target, err := url.Parse(to.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: trusting(t, to.CA)}
	w := &wiretap{pass: proxy.ServeHTTP, answer: answer}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		dump, err := httputil.DumpRequest(r, true)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
		w.mu.Lock()
		w.heard = append(w.heard, string(dump))
		answer := w.answer
		w.mu.Unlock()
		if answer == nil {
			answer = w.pass
		}
		answer(rw, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections() // ends answers that never end
		srv.Close()
	})
	w.URL = srv.URL
	w.CA = writeFile(t, "tap.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	return w
}

// passOn lets it pass on everything from now on.
func (w *wiretap) passOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = nil
}

// requests are all that it heard, as they came over the wire.
func (w *wiretap) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.heard...)
}

// always answers with a status.
func always(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}
