// Package transport carries the agent's HTTP requests: over TLS, trusting whom the
// settings name and nobody else, through a proxy where one is configured, and on
// one kept connection per server, so that an enrollment and the relay's upgrade
// after it cost one handshake.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

const (
	// connectTimeout bounds the TCP connection, and again the TLS handshake on
	// it (docs/PROTOCOLS.md, "Rules for every request").
	connectTimeout = 10 * time.Second
	// idleTimeout is how long a connection waits for a next request. The next
	// one follows an enrollment within milliseconds; an agent then idles for
	// days and should hold nothing open.
	idleTimeout = 30 * time.Second
	// maxHeaderBytes bounds the header of an answer; net/http's default is
	// 10 MiB.
	maxHeaderBytes = 64 << 10
)

// Options are what a Transport is made from. The zero value trusts the
// system's roots and uses no proxy.
type Options struct {
	// TrustCAFile names a file of PEM roots that replace the system's.
	TrustCAFile string
	// TrustSPKISHA256 are pins (docs/CONFIGURATION.md, "Trust"). With
	// TrustCAFile both must hold.
	TrustSPKISHA256 [][32]byte
	// Variables are where the two come from.
	Variables Variables
	Proxy     ports.ProxySettings
	// ClientCertificate, if set, is asked for a certificate at each handshake
	// in which the server wants one.
	ClientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	// DevInsecureTLS skips verification. New fails if it is set in a build
	// without the dev tag.
	DevInsecureTLS bool
}

// Transport is an http.RoundTripper for HTTP/1.1. It keeps one idle connection
// per server for 30 s, also for a request that upgrades, which a plain
// http.Transport would give a connection of its own.
//
// It follows no redirect (no RoundTripper does), asks for no compression, and sets
// no limit to a whole request: the request's context does that. A GET is sent
// once more on a fresh connection when a kept one turns out to be dead; no other
// request is ever sent twice. A Transport is safe for concurrent use.
type Transport struct {
	trust   trust
	proxies proxies

	mu   sync.Mutex
	idle map[target]*idleConn
}

type idleConn struct {
	conn   *http.ClientConn
	expiry *time.Timer
}

// target is the server that a connection leads to.
type target struct {
	scheme string // "https" or "http"
	host   string // without brackets
	port   string
}

// New checks the options and reads the CA file. Its errors are errors of the
// configuration and name the variable at fault.
func New(o Options) (*Transport, error) {
	trust, trustErr := newTrust(o)
	proxies, proxyErr := newProxies(o.Proxy)
	if err := errors.Join(trustErr, proxyErr); err != nil {
		return nil, err
	}
	return &Transport{trust: trust, proxies: proxies, idle: make(map[target]*idleConn)}, nil
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := targetOf(req.URL)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if conn := t.takeIdle(to); conn != nil {
		resp, err := conn.RoundTrip(req)
		if err == nil || req.Method != http.MethodGet || req.Context().Err() != nil {
			return resp, err
		}
		// The server hung up while the connection was idle.
	}
	conn, err := t.dial(req.Context(), to)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	return conn.RoundTrip(req)
}

// CloseIdleConnections closes the connections that carry no request. Those
// that were upgraded belong to their users.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	var targets []target
	for to := range t.idle {
		targets = append(targets, to)
	}
	t.mu.Unlock()
	for _, to := range targets {
		if conn := t.takeIdle(to); conn != nil {
			closeConn(conn)
		}
	}
}

// dial opens a connection and reserves it for the caller's request.
//
// Each connection has an http.Transport of its own, whose TLS configuration is for
// one server: the check of pins needs the server's name, which crypto/tls does not
// pass on when it is an IP address.
func (t *Transport) dial(ctx context.Context, to target) (*http.ClientConn, error) {
	// Without TCP keep-alives: a request lasts 30 s at most, and the relay's
	// connection has pings of its own.
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: -1}
	proxy := t.proxies.choose(to)
	way := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        t.trust.serverConfig(to.host),
		TLSHandshakeTimeout:    connectTimeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Proxy:                  func(*http.Request) (*url.URL, error) { return proxy, nil },
		OnProxyConnectResponse: refusedByProxy,
		Protocols:              new(http.Protocols),
	}
	way.Protocols.SetHTTP1(true)
	if proxy != nil && proxy.Scheme == "https" {
		// This hook serves the connection to the proxy alone; the one through
		// it to the server takes TLSClientConfig.
		way.DialTLSContext = (&tls.Dialer{NetDialer: dialer, Config: t.trust.proxyConfig()}).DialContext
	}
	conn, err := way.NewClientConn(ctx, to.scheme, net.JoinHostPort(to.host, to.port))
	if err != nil {
		return nil, err
	}
	// Reserved before the hook is set: net/http compares with the state that it
	// last saw, and would miss a request that came and went unseen.
	if err := conn.Reserve(); err != nil {
		closeConn(conn)
		return nil, err
	}
	conn.SetStateHook(func(conn *http.ClientConn) {
		if conn.Err() != nil {
			t.forget(to, conn)
		} else if conn.Available() > 0 {
			t.keep(to, conn)
		}
	})
	return conn, nil
}

// The methods of a ClientConn may call its hook, which takes t.mu: none is
// called with t.mu held.

// takeIdle returns a reserved connection, or nil if none is idle.
func (t *Transport) takeIdle(to target) *http.ClientConn {
	t.mu.Lock()
	c := t.idle[to]
	delete(t.idle, to)
	t.mu.Unlock()
	if c == nil {
		return nil
	}
	c.expiry.Stop()
	if c.conn.Reserve() != nil {
		return nil // it has died meanwhile
	}
	return c.conn
}

// keep makes conn the idle connection to its target. Where there is one
// already, conn is not needed and is closed.
func (t *Transport) keep(to target, conn *http.ClientConn) {
	t.mu.Lock()
	c := t.idle[to]
	if c == nil {
		t.idle[to] = &idleConn{conn, time.AfterFunc(idleTimeout, func() {
			t.forget(to, conn)
			closeUnused(conn)
		})}
	}
	t.mu.Unlock()
	if c != nil && c.conn != conn {
		closeUnused(conn)
	}
}

func (t *Transport) forget(to target, conn *http.ClientConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.idle[to]; c != nil && c.conn == conn {
		c.expiry.Stop()
		delete(t.idle, to)
	}
}

// closeUnused closes conn unless a request has it.
func closeUnused(conn *http.ClientConn) {
	if conn.Reserve() == nil {
		closeConn(conn)
	}
}

func closeConn(conn *http.ClientConn) {
	_ = conn.Close() // nothing was under way that a failure could harm
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // it was not sent; RoundTrip's contract wants it closed
	}
}

func targetOf(u *url.URL) (target, error) {
	to := target{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: u.Port()}
	switch {
	case to.scheme != "https" && to.scheme != "http":
		return target{}, fmt.Errorf("a request by %q is not supported: use an https URL", to.scheme)
	case to.host == "":
		return target{}, errors.New("a URL without a host")
	case strings.ContainsFunc(to.host, func(r rune) bool { return r >= 0x80 }):
		return target{}, fmt.Errorf("the host name %q is not ASCII: write it in its xn-- form", to.host)
	}
	if to.port == "" {
		to.port = map[string]string{"https": "443", "http": "80"}[to.scheme]
	}
	return to, nil
}
