package e2e

import (
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// port is a TCP port that refuses connections until it is opened, and then
// passes them on.
type port struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

// closedPort finds a port that nobody listens on. It lies below the ports that
// systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere),
// so that nobody gets it by chance.
func closedPort(t *testing.T) *port {
	t.Helper()
	for range 100 {
		p := &port{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(22_000)))}
		listener, err := net.Listen("tcp", p.addr)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		p.refuses()
		t.Cleanup(p.close)
		return p
	}
	t.Fatal("no port is free")
	return nil
}

// open passes connections on to an address.
func (p *port) open(to string) {
	p.t.Helper()
	listener := p.listen()
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			on, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close() // the agent sees a connection that broke
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, from, on)
			p.mu.Unlock()
			go pipe(from, on)
			go pipe(on, from)
		}
	}()
}

// listen takes the port. The socket that had it before may be open for a moment
// longer than its Close: in a child that another test has forked and that has
// not yet become another program.
func (p *port) listen() (listener net.Listener) {
	p.t.Helper()
	eventually(p.t, func() string {
		var err error
		if listener, err = net.Listen("tcp", p.addr); err != nil {
			return err.Error()
		}
		return ""
	})
	return listener
}

// refuses waits until the port refuses connections: as in listen, it may be
// open a moment longer than its listener.
func (p *port) refuses() {
	p.t.Helper()
	eventually(p.t, func() string {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			return ""
		}
		_ = conn.Close() // nobody is there
		return p.addr + " still takes connections"
	})
}

// pipe copies until one end closes, and then closes both.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // however it ended, it is over
	_ = to.Close()
	_ = from.Close()
}

// close refuses connections and cuts those that there are.
func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close() // it is over in any case
	}
	for _, c := range p.conns {
		_ = c.Close() // the same
	}
	p.listener, p.conns = nil, nil
}
