package memory

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/muster-agent/muster/ports"
)

// Listener implements ports.Listener and ports.CertificateHolder without a
// network. It judges clients as TLS does, but believes them that they have the
// key. The zero value holds no certificate.
type Listener struct {
	mu       sync.Mutex
	inUse    *ports.CertificateInUse
	serving  map[string]func() ports.Health // by address
	taken    map[string]bool                // addresses of another process
	lastPort int
}

var (
	_ ports.Listener          = (*Listener)(nil)
	_ ports.CertificateHolder = (*Listener)(nil)
)

// Use implements ports.CertificateHolder. c must not be changed afterwards.
func (l *Listener) Use(c *ports.CertificateInUse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse = c
}

// InUse is the certificate in use, nil if there is none.
func (l *Listener) InUse() *ports.CertificateInUse {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inUse
}

// Take makes addr one that another process listens on, or no longer.
func (l *Listener) Take(addr string, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken = make(map[string]bool)
	}
	l.taken[addr] = taken
}

// Serve implements ports.Listener.
func (l *Listener) Serve(ctx context.Context, addr string, health func() ports.Health, opened func(addr string)) error {
	if ctx.Err() != nil {
		return nil
	}
	addr, err := l.open(addr, health)
	if err != nil {
		return err
	}
	opened(addr)
	<-ctx.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.serving, addr)
	return nil
}

// open returns the real address: a free port in place of 0.
func (l *Listener) open(addr string, health func() ports.Health) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("listening on %s: %w: check MUSTER_LISTEN_ADDR", addr, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if port == "0" {
		const firstDynamic = 49152 // RFC 6335, section 6
		addr = net.JoinHostPort(host, strconv.Itoa(firstDynamic+l.lastPort))
		l.lastPort++
	}
	if l.serving[addr] != nil || l.taken[addr] {
		return "", &ports.AddressInUseError{Addr: addr}
	}
	if l.serving == nil {
		l.serving = make(map[string]func() ports.Health)
	}
	l.serving[addr] = health
	return addr, nil
}

// Connect opens a connection to addr for a client that presents chain, the leaf
// first, and trusts roots.
func (l *Listener) Connect(addr string, chain []*x509.Certificate, roots *x509.CertPool) (*ListenerConn, error) {
	l.mu.Lock()
	c, served := l.inUse, l.serving[addr]
	l.mu.Unlock()
	switch {
	case served == nil:
		return nil, nobodyListens(addr)
	case c == nil:
		return nil, errors.New("no certificate is in use")
	}
	shown, err := parseAll(c.Certificate.Certificate)
	if err != nil {
		return nil, err
	}
	if _, err := verify(shown, roots, x509.ExtKeyUsageServerAuth); err != nil {
		return nil, fmt.Errorf("the client refuses: %w", err)
	}
	accepted := c.Roots
	if accepted == nil {
		accepted = x509.NewCertPool() // to crypto/x509 nil means the system's
	}
	chains, err := verify(chain, accepted, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, fmt.Errorf("the listener refuses: %w", err)
	}
	for _, chain := range chains { // no list is about the root, which is the last
		if c.Revoked == nil || !slices.ContainsFunc(chain[:len(chain)-1], c.Revoked) {
			return &ListenerConn{shown[0], l, addr}, nil
		}
	}
	return nil, errors.New("the client's certificate was revoked")
}

func nobodyListens(addr string) error { return fmt.Errorf("nobody listens on %s", addr) }

// ListenerConn is a client's connection to a [Listener].
type ListenerConn struct {
	// Served is the certificate that the client was shown.
	Served *x509.Certificate

	listener *Listener
	addr     string
}

// Health is GET /health on the connection. It fails once the address is not
// served any more.
func (c *ListenerConn) Health() (ports.Health, error) {
	c.listener.mu.Lock()
	health := c.listener.serving[c.addr]
	c.listener.mu.Unlock()
	if health == nil {
		return ports.Health{}, nobodyListens(c.addr)
	}
	return health(), nil
}

func parseAll(ders [][]byte) (chain []*x509.Certificate, err error) {
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// verify verifies a chain as crypto/tls does, but not the name.
func verify(chain []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, errors.New("no certificate was presented")
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	return chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage}})
}
