package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/matryer/is"
)

// An enrollment and the relay's upgrade after it: one connection, one
// handshake; and the upgraded one outlives the transport's interest in it.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	oneOfFive(t, oneConnection)
}

// oneOfFive asserts that one of five tries takes a single connection: net/http
// keeps none where its own goroutines get no processor for 50 ms.
func oneOfFive(t *testing.T, try func(*testing.T) (connections int32)) {
	t.Helper()
	n := int32(0)
	for tries := 0; tries < 5 && n != 1; tries++ {
		n = try(t)
	}
	is.New(t).Equal(n, int32(1))
}

func oneConnection(t *testing.T) (connections int32) {
	is := is.New(t)
	leaf := issue(t, "leaf", identity{}, forLoopback)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("a request by %s", r.Proto)
		}
		if r.URL.Path != "/ws" {
			_, _ = io.WriteString(w, "hello")
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		kind, data, err := conn.Read(r.Context())
		if err == nil {
			err = conn.Write(r.Context(), kind, data)
		}
		if err == nil {
			_, _, err = conn.Read(r.Context())
		}
		is.Equal(websocket.CloseStatus(err), websocket.StatusNormalClosure)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{presenting(leaf)}}
	server.EnableHTTP2 = true // offered, not taken
	n := counting(server)
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := newTransport(t, Options{TrustSPKISHA256: [][32]byte{leaf.pin()}})

	for range 3 {
		_, text, err := send(t, transport, http.MethodPost, server.URL, "{}")
		is.NoErr(err)
		is.Equal(text, "hello")
	}
	ctx, cancel := context.WithCancel(t.Context())
	conn, _, err := websocket.Dial(ctx, server.URL+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	is.NoErr(err)
	cancel() // the dial's context no longer matters
	transport.CloseIdleConnections()
	is.NoErr(conn.Write(t.Context(), websocket.MessageText, []byte("ping")))
	_, data, err := conn.Read(t.Context())
	is.NoErr(err)
	is.Equal(string(data), "ping")
	is.NoErr(conn.Close(websocket.StatusNormalClosure, ""))
	is.Equal(len(transport.idle), 0)
	return n.Load()
}

// An answer without a body comes and goes before net/http looks twice.
func TestConnectionKeptAfterEmptyAnswer(t *testing.T) {
	t.Parallel()
	oneOfFive(t, emptyAnswers)
}

func emptyAnswers(t *testing.T) (connections int32) {
	is := is.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	n := counting(server)
	server.Start()
	t.Cleanup(server.Close)
	transport := newTransport(t, Options{})
	for range 5 {
		status, _, err := send(t, transport, http.MethodPost, server.URL, "{}")
		is.NoErr(err)
		is.Equal(status, http.StatusNoContent)
	}
	return n.Load()
}

func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(server.Close)
	transport := newTransport(t, Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				_, text, err := send(t, transport, http.MethodPost, server.URL, "echo")
				if err != nil || text != "echo" {
					t.Errorf("got %q, %v", text, err)
				}
			}
		})
	}
	wg.Wait()
	transport.mu.Lock()
	defer transport.mu.Unlock()
	is.True(len(transport.idle) <= 1) // one idle connection per server
}

// The server closes kept connections; the transport may not have noticed.
func TestDeadKeptConnection(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var requests atomic.Int32
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	is.NoErr(err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // answers one request on each connection, takes a second one and hangs up
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buf := make([]byte, 4096)
				for i := range 2 {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					requests.Add(1)
					if i == 0 {
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					}
				}
			}()
		}
	}()
	url := "http://" + listener.Addr().String()
	transport := newTransport(t, Options{})
	for range 2 {
		_, text, err := send(t, transport, http.MethodGet, url, "")
		is.NoErr(err) // the GET is sent again on a fresh connection
		is.Equal(text, "ok")
	}
	is.Equal(requests.Load(), int32(3))
	_, _, err = send(t, transport, http.MethodPost, url, "{}")
	is.True(err != nil) // a POST is never sent twice
	is.Equal(Describe(err), "the connection was closed before the answer was complete")
	is.Equal(requests.Load(), int32(4))
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	is.NoErr(err)
	t.Cleanup(func() { _ = listener.Close() })
	transport := newTransport(t, Options{})
	for _, scheme := range []string{"http", "https"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+listener.Addr().String(), nil)
		is.NoErr(err)
		start := time.Now()
		_, err = transport.RoundTrip(req)
		is.True(errors.Is(err, context.DeadlineExceeded))
		is.True(time.Since(start) < 20*time.Second)
		is.Equal(Describe(err), "timed out")
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host got a request") }))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	status, _, err := send(t, newTransport(t, Options{}), http.MethodPost, server.URL, "secret")
	is.NoErr(err)
	is.Equal(status, http.StatusTemporaryRedirect)
}

func TestUnusableURLs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, url := range []string{"ftp://host/", "https:///path", "https://bücher.example/"} {
		_, _, err := send(t, newTransport(t, Options{}), http.MethodPost, url, "{}")
		is.True(err != nil) // refused before anything is sent
	}
}

func TestIdleConnectionExpires(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	closed := make(chan struct{}, 1)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	transport := newTransport(t, Options{})
	_, _, err := send(t, transport, http.MethodPost, server.URL, "{}")
	is.NoErr(err)
	transport.mu.Lock()
	is.Equal(len(transport.idle), 1)
	for _, c := range transport.idle {
		is.True(c.expiry.Reset(0)) // the 30 s are over
	}
	transport.mu.Unlock()
	<-closed
	transport.mu.Lock()
	is.Equal(len(transport.idle), 0)
	transport.mu.Unlock()
}
