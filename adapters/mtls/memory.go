package mtls

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

// Memory implements ports.Listener without a network, for tests, in a synctest
// bubble too. It judges clients as TLS does, but takes their word for having
// the key. The zero value with a Holder works.
type Memory struct {
	Holder *Holder

	mu       sync.Mutex
	serving  map[string]func() ports.Health // by address
	taken    map[string]bool                // addresses of another process
	lastPort int
}

var _ ports.Listener = (*Memory)(nil)

// Take lets another process listen on addr, or no longer.
func (m *Memory) Take(addr string, taken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken == nil {
		m.taken = make(map[string]bool)
	}
	m.taken[addr] = taken
}

// Serve implements ports.Listener.
func (m *Memory) Serve(ctx context.Context, addr string, health func() ports.Health, opened func(addr string)) error {
	if ctx.Err() != nil {
		return nil
	}
	addr, err := m.open(addr, health)
	if err != nil {
		return err
	}
	opened(addr)
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.serving, addr)
	return nil
}

// open returns the real address: a free port in place of 0.
func (m *Memory) open(addr string, health func() ports.Health) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("listening on %s: %w: check MUSTER_LISTEN_ADDR", addr, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if port == "0" {
		const firstDynamic = 49152 // RFC 6335, section 6
		addr = net.JoinHostPort(host, strconv.Itoa(firstDynamic+m.lastPort))
		m.lastPort++
	}
	if m.serving[addr] != nil || m.taken[addr] {
		return "", &ports.AddressInUseError{Addr: addr}
	}
	if m.serving == nil {
		m.serving = make(map[string]func() ports.Health)
	}
	m.serving[addr] = health
	return addr, nil
}

// Addresses are those that are served, sorted.
func (m *Memory) Addresses() (addrs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for addr := range m.serving {
		addrs = append(addrs, addr)
	}
	slices.Sort(addrs)
	return addrs
}

// Connect opens a connection to addr as a client does that presents chain, the
// leaf first, and believes in roots.
func (m *Memory) Connect(addr string, chain []*x509.Certificate, roots *x509.CertPool) (*MemoryConn, error) {
	if _, err := m.at(addr); err != nil {
		return nil, err
	}
	c := m.Holder.current.Load()
	if c == nil {
		return nil, errNoCertificate
	}
	served, err := parseAll(c.Certificate.Certificate)
	if err != nil {
		return nil, err
	}
	if _, err := verify(served, roots, x509.ExtKeyUsageServerAuth); err != nil {
		return nil, fmt.Errorf("the client refuses: %w", err)
	}
	chains, err := verify(chain, rootsOf(c.CertificateInUse), x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, fmt.Errorf("the listener refuses: %w", err)
	}
	if err := refuseRevoked(chains, c.Revoked); err != nil {
		return nil, err
	}
	return &MemoryConn{served[0], m, addr}, nil
}

func (m *Memory) at(addr string) (health func() ports.Health, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if health = m.serving[addr]; health == nil {
		return nil, fmt.Errorf("nobody listens on %s", addr)
	}
	return health, nil
}

// MemoryConn is a client's connection to a Memory.
type MemoryConn struct {
	// Served is the certificate that the client was shown.
	Served *x509.Certificate

	memory *Memory
	addr   string
}

// Health is GET /health on the connection. It fails once the address is not
// served any more.
func (c *MemoryConn) Health() (ports.Health, error) {
	health, err := c.memory.at(c.addr)
	if err != nil {
		return ports.Health{}, err
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

// verify verifies a chain as crypto/tls does, the name apart.
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
