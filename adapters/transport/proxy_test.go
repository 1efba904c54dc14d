package transport

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// The rules are those of net/http.ProxyFromEnvironment, which reads the
// environment once in a process: so one list holds every kind of entry.
func TestProxiesAgreeWithNetHTTP(t *testing.T) {
	is := is.New(t)
	const exceptions = " example.org , .sub.test,*.star.test,UPPER.test,with-port.test:8443,10.0.0.0/8,192.0.2.7," +
		"192.0.2.8:8443,[2001:db8::1]:8443,2001:db8:1::/48,2001:db8::9,:80,*odd.test,.,bad/33,10.0.0.0/99,[2001:db8::7],"
	for _, name := range []string{"https_proxy", "http_proxy", "no_proxy"} {
		t.Setenv(name, "") // first: on Windows it is the same as in capitals
	}
	t.Setenv("HTTPS_PROXY", "http://secure.proxy:3128")
	t.Setenv("HTTP_PROXY", "plain.proxy:3128")
	t.Setenv("NO_PROXY", exceptions)
	t.Setenv("REQUEST_METHOD", "")
	p, err := newProxies(ports.ProxySettings{
		HTTPS: ports.NewSecret("http://secure.proxy:3128"), HTTP: ports.NewSecret("plain.proxy:3128"), No: exceptions,
	})
	is.NoErr(err)
	hosts := []string{
		"example.org", "EXAMPLE.ORG", "www.example.org", "badexample.org", "example.org.evil.test", "sub.test", "a.sub.test",
		"star.test", "a.star.test", "b.a.star.test", "upper.test", "with-port.test", "with-port.test:8443", "a.with-port.test:8443",
		"10.1.2.3", "11.1.2.3", "192.0.2.7", "192.0.2.7:99", "192.0.2.8", "192.0.2.8:8443", "192.0.2.9", "[2001:db8::1]",
		"[2001:db8::1]:8443", "[2001:db8:1::5]", "[2001:db8:2::5]", "[2001:db8::9]:1", "[2001:db8::7]", "localhost", "localhost:8443", "a.localhost",
		"127.0.0.1", "127.9.9.9:80", "[::1]", "odd.test", "xodd.test", "other.test", "org",
	}
	direct := 0
	for _, scheme := range []string{"https", "http"} {
		for _, host := range hosts {
			u := &url.URL{Scheme: scheme, Host: host}
			want, err := http.ProxyFromEnvironment(&http.Request{URL: u})
			is.NoErr(err)
			to, err := targetOf(u)
			is.NoErr(err)
			if got := p.choose(to); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v: got proxy %v, net/http takes %v", u, got, want)
			}
			if want == nil {
				direct++
			}
		}
	}
	if direct == 0 || direct == 2*len(hosts) {
		t.Error("the list shows nothing")
	}
}

func TestNoProxyAtAll(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	p, err := newProxies(ports.ProxySettings{HTTPS: ports.NewSecret("proxy:1"), No: "a.test, *"})
	is.NoErr(err)
	is.Equal(p.choose(target{"https", "example.org", "443"}), nil)
	is.Equal(p.choose(target{"https", "192.0.2.1", "443"}), nil)
}

func TestBadProxy(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"http://user:hunter2canary@[bad", "ftp://user:hunter2canary@proxy", "hunter2canary%zz", "http://"} {
		_, err := New(Options{Proxy: ports.ProxySettings{HTTPS: ports.NewSecret(value)}})
		if err == nil || !strings.Contains(err.Error(), "HTTPS_PROXY") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// proxyTo is a proxy that connects everyone to the server at addr.
func proxyTo(t *testing.T, addr string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:hunter2canary")) {
			w.Header().Set("X-Echo", r.Header.Get("Proxy-Authorization"))
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		server, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = server.Close() }()
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = client.Close() }()
		_, _ = io.WriteString(client, "HTTP/1.1 200 Connected\r\n\r\n")
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		_, _ = io.Copy(client, server)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	root := issue(t, "root", identity{}, authority)
	leaf := issue(t, "leaf", root, func(c *x509.Certificate) {
		c.DNSNames = []string{"server.example"}
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)}
	})
	server := serve(t, presenting(leaf))
	plain := httptest.NewServer(proxyTo(t, server.Listener.Addr().String()))
	t.Cleanup(plain.Close)
	secure := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{presenting(issue(t, "proxy", root, forLoopback))}},
		proxyTo(t, server.Listener.Addr().String()))

	tests := []struct {
		name, proxy, url string
		pin              bool
		want             string
	}{
		{"plain proxy", plain.URL, "https://server.example/", false, ""},
		{"TLS proxy", secure.URL, "https://server.example/", false, ""},
		{"plain proxy, pin", plain.URL, "https://server.example/", true, ""},
		{"TLS proxy, pin of the server", secure.URL, "https://server.example/", true, ""},
		{"pin, address", plain.URL, "https://192.0.2.1/", true, ""},
		{"pin, another address", plain.URL, "https://192.0.2.2/", true, "not for 192.0.2.2"},
		{"pin, another name", secure.URL, "https://another.example/", true, "not for another.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			o := Options{TrustCAFile: caFile(t, root)}
			o.Proxy.HTTPS = ports.NewSecret(strings.Replace(tt.proxy, "://", "://user:hunter2canary@", 1))
			if tt.pin {
				o.TrustSPKISHA256 = [][32]byte{leaf.pin()}
			}
			err := get(t, o, tt.url)
			if tt.want == "" {
				is.NoErr(err)
				return
			}
			is.True(err != nil) // refused
			is.True(strings.Contains(Describe(err), tt.want))
		})
	}

	t.Run("without the password", func(t *testing.T) {
		is := is.New(t)
		err := get(t, Options{Proxy: ports.ProxySettings{HTTPS: ports.NewSecret(strings.Replace(plain.URL, "://", "://user:hunter2wrong@", 1))}}, "https://server.example/")
		is.True(err != nil) // the proxy refuses
		text := Describe(err)
		is.True(strings.Contains(text, "status 407"))
		is.True(!strings.Contains(text+err.Error(), "hunter2"))
	})
	t.Run("unreachable proxy", func(t *testing.T) {
		is := is.New(t)
		err := get(t, Options{Proxy: ports.ProxySettings{HTTPS: ports.NewSecret("http://user:hunter2canary@127.0.0.1:1")}}, "https://server.example/")
		is.True(err != nil) // nobody listens there
		text := Describe(err)
		is.True(strings.HasPrefix(text, "on the way to the proxy: connecting to 127.0.0.1:1"))
		is.True(!strings.Contains(text, "hunter2"))
	})
}

// A plain HTTP server (dev builds, behind a proxy) is asked for by its whole URL.
func TestProxyOfPlainHTTP(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	is.NoErr(err)
	t.Cleanup(func() { _ = listener.Close() })
	got := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		got <- line
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	is.NoErr(get(t, Options{Proxy: ports.ProxySettings{HTTP: ports.NewSecret(listener.Addr().String())}}, "http://server.example/path"))
	is.Equal(<-got, "GET http://server.example/path HTTP/1.1\r\n")
}
