package mtls

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := run(t, "127.0.0.1:0", Options{}, func() ports.Health {
		return ports.Health{Status: ports.StateBlocked, Uptime: 1999 * time.Millisecond, Certificate: ports.CertificateReport{
			Status: ports.CertExpired, NotAfter: time.Date(2031, 5, 6, 9, 8, 9, 0, time.FixedZone("", 7200)), Detail: "for people",
		}}
	})
	conn, err := connect(r.addr, r.certificate, r.roots)
	is.NoErr(err)
	defer conn.Close()
	is.Equal(conn.ConnectionState().Version, uint16(tls.VersionTLS13))
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{
			"GET", "/health", 200,
			`{"status":"blocked","version":"","uptime_seconds":1,"certificate":{"status":"expired","not_before":null,"not_after":"2031-05-06T07:08:09Z","renew_at":null,"subject":null}}`,
		},
		{"GET", "/health?verbose=1", 200, `{"status":"blocked"`},
		{"HEAD", "/health", 200, ""},
		{"GET", "/", 404, "there is only /health"},
		{"GET", "/health/", 404, "there is only /health"},
		{"GET", "/metrics", 404, "there is only /health"},
		{"POST", "/other", 404, "there is only /health"},
		{"POST", "/health", 405, "only GET is allowed"},
		{"DELETE", "/health", 405, "only GET is allowed"},
		{"OPTIONS", "/health", 405, "only GET is allowed"},
	} {
		resp, err := conn.ask(tt.method, tt.path)
		is.NoErr(err)
		body, err := io.ReadAll(resp.Body)
		is.NoErr(err)
		if resp.StatusCode != tt.status || !strings.HasPrefix(string(body), tt.body) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, resp.StatusCode, body)
		}
	}
}

func TestHealthThatJSONCannotSay(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	handler(func() ports.Health {
		return ports.Health{Certificate: ports.CertificateReport{NotAfter: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}
	})(w, httptest.NewRequest("GET", "/health", nil))
	is.New(t).Equal(w.Code, 500)
}

func TestOnlyTLS13AndHTTP1(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := run(t, "127.0.0.1:0", Options{}, noHealth)
	dial := func(c *tls.Config) (*tls.Conn, error) {
		c.RootCAs, c.Certificates = r.roots, []tls.Certificate{r.certificate}
		return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", r.addr, c)
	}
	_, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12})
	is.True(err != nil) // TLS 1.2 is refused
	conn, err := dial(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	is.NoErr(err)
	is.Equal(conn.ConnectionState().NegotiatedProtocol, "http/1.1")
	is.NoErr(conn.Close())

	plain, err := net.Dial("tcp", r.addr)
	is.NoErr(err)
	defer plain.Close()
	_, err = io.WriteString(plain, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
	is.NoErr(err)
	is.NoErr(plain.SetReadDeadline(time.Now().Add(patience)))
	answer, err := io.ReadAll(plain)
	is.NoErr(err)
	is.True(!bytes.Contains(answer, []byte("200 OK")))
}

// A session that was begun under one CA is not resumed under another.
func TestSessionsAreNotResumed(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := run(t, "127.0.0.1:0", Options{}, noHealth)
	cache := tls.NewLRUClientSessionCache(8)
	for range 3 {
		conn, err := tls.Dial("tcp", r.addr, &tls.Config{RootCAs: r.roots, Certificates: []tls.Certificate{r.certificate}, ClientSessionCache: cache})
		is.NoErr(err)
		client := &tlsConn{conn, bufio.NewReader(conn)}
		_, err = client.Health() // a ticket would have come by now
		is.NoErr(err)
		is.True(!conn.ConnectionState().DidResume)
		is.NoErr(conn.Close())
	}
}

func TestLargeHeaderIsRefused(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := run(t, "127.0.0.1:0", Options{}, noHealth)
	conn, err := connect(r.addr, r.certificate, r.roots)
	is.NoErr(err)
	defer conn.Close()
	resp, err := conn.ask("GET", "/health?"+strings.Repeat("x", maxHeaderBytes+4096))
	is.NoErr(err)
	is.Equal(resp.StatusCode, 431)
}

// What clients do wrong goes to the log at level debug and nowhere else.
func TestLogOfBadHandshakes(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var mu sync.Mutex
	var out bytes.Buffer
	locked := writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(b)
	})
	r := run(t, "127.0.0.1:0", Options{Log: slog.New(slog.NewTextHandler(locked, &slog.HandlerOptions{Level: slog.LevelDebug}))}, noHealth)
	conn, err := connect(r.addr, tls.Certificate{}, r.roots)
	if err == nil {
		_, err = conn.Health()
		conn.Close()
	}
	is.True(err != nil) // refused
	logged := func() string {
		mu.Lock()
		defer mu.Unlock()
		return out.String()
	}
	for deadline := time.Now().Add(patience); logged() == "" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	is.True(strings.Contains(logged(), "level=DEBUG"))
	is.True(strings.Contains(logged(), "client didn't provide a certificate"))
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// A client that never finishes its handshake delays the end by less than a
// second.
func TestEndsBesideASilentClient(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	took := time.Hour
	for try := 0; try < 5 && took >= time.Second; try++ { // the machine may be busy: one of five is enough
		r := run(t, "127.0.0.1:0", Options{}, noHealth)
		silent, err := net.Dial("tcp", r.addr)
		is.NoErr(err)
		defer silent.Close()
		conn, err := connect(r.addr, r.certificate, r.roots)
		is.NoErr(err)
		defer conn.Close()
		_, err = conn.Health() // by now the silent one was accepted too
		is.NoErr(err)
		start := time.Now()
		r.cancel()
		is.NoErr(<-r.ended)
		took = time.Since(start)
		r.ended <- nil // for the cleanup
		is.NoErr(silent.SetReadDeadline(time.Now().Add(patience)))
		_, err = silent.Read(make([]byte, 1))
		is.True(err != nil)                              // the silent client was cut
		is.True(!errors.Is(err, os.ErrDeadlineExceeded)) // it was cut
	}
	is.True(took < time.Second) // in the best of five tries
}

// To crypto/x509 no pool means the system's roots.
func TestNoRootsAreNotTheSystems(t *testing.T) {
	t.Parallel()
	is.New(t).True(serverConfig(new(ports.CertificateInUse)).ClientCAs != nil)
}

// The certificate is switched fifty times under clients that open connections
// as fast as they can, and one that keeps its own.
func TestSwitchUnderLoad(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := run(t, "127.0.0.1:0", Options{}, noHealth)
	kept, err := connect(r.addr, r.certificate, r.roots)
	is.NoErr(err)
	defer kept.Close()
	over := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				conn, err := connect(r.addr, r.certificate, r.roots)
				if err == nil {
					_, err = conn.Health()
					conn.Close()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		next := r.certificate // the same key and name: what changes is the holder's content
		r.holder.Use(&ports.CertificateInUse{Certificate: next, Roots: r.roots})
		_, err := kept.Health()
		is.NoErr(err)
	}
	close(over)
	clients.Wait()
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var h Holder
	none, err := h.ClientCertificate(nil)
	is.NoErr(err)
	is.Equal(len(none.Certificate), 0)
	certificate, _ := selfSigned(t)
	h.Use(&ports.CertificateInUse{Certificate: certificate})
	got, err := h.ClientCertificate(nil)
	is.NoErr(err)
	is.Equal(got.Certificate, certificate.Certificate)
	h.Use(nil)
	none, err = h.ClientCertificate(nil)
	is.NoErr(err)
	is.Equal(len(none.Certificate), 0)
}

func TestLimitOfConnections(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	is.NoErr(err)
	l := limitConnections(inner, 2)
	for range 3 {
		client, err := net.Dial("tcp", inner.Addr().String())
		is.NoErr(err)
		defer client.Close()
	}
	first, err := l.Accept()
	is.NoErr(err)
	_, err = l.Accept()
	is.NoErr(err)
	type accepted struct {
		conn net.Conn
		err  error
	}
	third := make(chan accepted, 1)
	accept := func() { conn, err := l.Accept(); third <- accepted{conn, err} }
	go accept()
	select {
	case <-third:
		t.Fatal("a third connection beyond the limit")
	case <-time.After(20 * time.Millisecond):
	}
	is.NoErr(first.Close())
	is.True(first.Close() != nil) // twice, as net/http does: it gives back one place
	is.NoErr((<-third).err)
	go accept()
	is.NoErr(l.Close())
	is.True((<-third).err != nil)
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	is := is.New(t)
	is.NoErr(probe.Close())
	r := run(t, "[::1]:0", Options{}, noHealth)
	is.True(strings.HasPrefix(r.addr, "[::1]:"))
	conn, err := connect(r.addr, r.certificate, r.roots)
	is.NoErr(err)
	defer conn.Close()
	_, err = conn.Health()
	is.NoErr(err)
}
