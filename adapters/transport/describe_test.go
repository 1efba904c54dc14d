package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/matryer/is"
)

const canary = "cak_canary0123456789"

func TestDescribe(t *testing.T) {
	t.Parallel()
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	is.New(t).NoErr(err)
	address := refused.Addr().String()
	is.New(t).NoErr(refused.Close())

	tests := []struct {
		name string
		err  error
		want string
	}{
		{"refused", get(t, Options{}, "https://"+address), "connecting to " + address + ": "},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}}, "DNS knows no host nowhere.example"},
		{"DNS time-out", &net.DNSError{Err: "i/o timeout", Name: "slow.example", IsTimeout: true}, "DNS did not answer in time for slow.example"},
		{"URL", fmt.Errorf("dial %s: %w", canary, &url.Error{Op: "Get", URL: "wss://host/?api_key=" + canary, Err: io.EOF}), "the connection was closed before the answer was complete"},
		{"unknown", errors.New(`something: "` + canary + `"`), "something"},
		{"unprintable and long", errors.New("a\x1b[31m\n" + strings.Repeat("é", 1000)), "a[31m" + strings.Repeat("é", 294) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Describe(tt.err)
			if !strings.HasPrefix(got, tt.want) || strings.Contains(got, "canary") || utf8.RuneCountInString(got) > 300 {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A server that is none, and sends back what it gets.
func TestDescribeEcho(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n ", "HTTP/1.1 200 OK\r\nContent-Length: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: ", "HTTP/1.1 "} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		is.New(t).NoErr(err)
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				buf := make([]byte, 4096)
				n, _ := conn.Read(buf)
				_, _ = io.WriteString(conn, prefix+string(buf[:n]))
				_ = conn.Close()
			}
		}()
		err = getBy(t, newTransport(t, Options{}), "http://"+listener.Addr().String()+"/?api_key="+canary)
		if err == nil {
			t.Errorf("%q: no error", prefix)
			continue
		}
		if text := Describe(err); text == "" || strings.Contains(text, "canary") {
			t.Errorf("%q: %s", prefix, text)
		}
	}
}

func TestDescribeWrongPort(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	plain.Config.ErrorLog = discard()
	err := get(t, Options{}, strings.Replace(plain.URL, "http:", "https:", 1))
	is.Equal(Describe(err), "the server speaks plain HTTP on this port, not TLS")
}
