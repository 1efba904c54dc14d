package fakeserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// closeWithin is how long Close lets answers and close frames take.
const closeWithin = time.Second

// listening is a Server between Start and Close.
type listening struct {
	url    string
	server *http.Server
	cancel context.CancelFunc // ends delays and relay connections
	served chan struct{}      // closed when the listener is
	stop   func() bool        // forgets the context given to Start
}

// Start listens on addr ("127.0.0.1:0" for a free port) and serves until ctx
// is done or Close is called; afterwards it may be started again, knowing
// what it knew. It speaks HTTP/1.1 over TLS 1.2 or later with a certificate
// for localhost, 127.0.0.1, ::1 and addr's host, and asks for a client
// certificate of the manager's CA without insisting on one.
func (s *Server) Start(ctx context.Context, addr string) error {
	if err := s.setup(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.unlock()
	if s.listening != nil {
		return fmt.Errorf("the fake server is listening already, on %s", s.listening.url)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("the fake server cannot listen: %w", err)
	}
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	scheme := "http"
	if !s.PlainHTTP {
		scheme = "https"
		config, err := s.tlsConfig(host)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		listener = tls.NewListener(listener, config)
	}
	if net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &listening{
		url:    scheme + "://" + net.JoinHostPort(host, port),
		cancel: cancel,
		served: make(chan struct{}),
		server: &http.Server{
			Handler:           s,
			ReadHeaderTimeout: 10 * time.Second,
			BaseContext:       func(net.Listener) context.Context { return base },
			ConnContext:       s.countConnection,
			ErrorLog:          s.ErrorLog,
		},
	}
	if s.ErrorLog == nil {
		l.server.ErrorLog = log.New(io.Discard, "", 0)
	}
	s.listening = l
	l.stop = context.AfterFunc(ctx, s.Close)
	go func() {
		defer close(l.served)
		// It always ends with an error: http.ErrServerClosed, or that of a
		// listener that broke, which the clients will see.
		_ = l.server.Serve(listener)
	}()
	return nil
}

// Close stops listening, ends the relay's connections with a close frame
// (1001, going away) and returns when all has ended, within about two
// seconds. It may be called again and without Start.
func (s *Server) Close() {
	s.ready()
	s.closing.Lock()
	defer s.closing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*closeWithin)
	defer cancel()

	s.mu.Lock()
	l := s.listening
	s.listening = nil
	s.unlock()
	if l != nil {
		l.stop()
		l.shutdown(ctx)
	}
	s.mu.Lock()
	for _, session := range s.sessions {
		session.end(closeGoingAway, "the server is stopping")
	}
	s.unlock()
	// Those that do not end by then are cut below.
	_ = s.Await(ctx, s.noSessions)
	if l != nil {
		l.cancel()
		// An error would be about a connection, and all are being cut.
		_ = l.server.Close()
		<-l.served
		_ = s.Await(context.Background(), s.noSessions)
	}
}

func (s *Server) noSessions() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessionsLive == 0
}

// shutdown closes the listener and gives answers under way a moment.
func (l *listening) shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	// Close cuts what this does not end in time.
	_ = l.server.Shutdown(ctx)
}

// URL is the server's address, such as "https://127.0.0.1:40123"; empty when
// it does not listen.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listening == nil {
		return ""
	}
	return s.listening.url
}

// CACertPEM is the root by which to trust the server. It lasts as long as the
// Server, over several Starts. It is not the manager's CA.
func (s *Server) CACertPEM() []byte {
	s.ready()
	if s.tlsCA == nil {
		return nil
	}
	return []byte(certPEM(s.tlsCA.root))
}

// ManagerCACertPEM is the root of the manager's CA, ca_crt in its answers.
func (s *Server) ManagerCACertPEM() []byte {
	s.ready()
	if s.managerCA == nil {
		return nil
	}
	return []byte(certPEM(s.managerCA.root))
}

// tlsConfig makes a certificate for the host that is listened on.
func (s *Server) tlsConfig(host string) (*tls.Config, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost"},
		NotBefore:   orDefault(s.TLSNotBefore, s.now().AddDate(-1, 0, 0)),
		NotAfter:    orDefault(s.TLSNotAfter, s.now().AddDate(10, 0, 0)),
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); !ip.IsUnspecified() {
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	leaf, err := s.tlsCA.issue(template, key.Public())
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// HTTP/1.1 alone: there a dropped answer is a dropped connection, and
		// a request can become a WebSocket.
		NextProtos: []string{"http/1.1"},
		Certificates: []tls.Certificate{{
			Certificate: [][]byte{leaf.Raw, s.tlsCA.intermediate.Raw},
			PrivateKey:  key,
		}},
		ClientAuth: tls.VerifyClientCertIfGiven,
		ClientCAs:  s.managerCA.pool(),
		Time:       s.now,
	}, nil
}
