// Package memrelay is a relay in memory: a ports.RelayDialer for tests, in a
// synctest bubble too. It starts no goroutine.
package memrelay

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// limit is how long ports.RelayDialer lets a handshake take.
const limit = 30 * time.Second

// Server implements ports.RelayDialer. The zero value is a relay that accepts
// everyone. Set its fields before the first dial.
type Server struct {
	// Accept, if set, decides every handshake: nil accepts, any other error
	// is what Dial returns (*ports.RelayRefusedError for a refused key,
	// *ports.RelayBusyError for one that is put off). It may block until ctx
	// is done, as a silent relay does.
	Accept func(ctx context.Context, hello ports.RelayHello) error
	// Date, if set, is the relay's clock, as its handshakes tell it.
	Date func() time.Time

	mu    sync.Mutex
	dials []Dial
	conns []*Conn
}

var _ ports.RelayDialer = (*Server)(nil)

// Dial is a handshake that reached the relay.
type Dial struct {
	Hello ports.RelayHello
	At    time.Time
	Err   error // nil if it was accepted or is not decided yet
}

// Dial implements ports.RelayDialer.
func (s *Server) Dial(ctx context.Context, hello ports.RelayHello) (ports.RelayConn, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if limited.Err() != nil {
		return nil, dialFailed(limited)
	}
	s.mu.Lock()
	n := len(s.dials)
	s.dials = append(s.dials, Dial{Hello: hello, At: time.Now()})
	s.mu.Unlock()

	var err error
	if s.Accept != nil {
		err = s.Accept(limited, hello)
	}
	if limited.Err() != nil {
		err = dialFailed(limited)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials[n].Err = err
	if err != nil {
		return nil, err
	}
	conn := newConn(hello)
	if s.Date != nil {
		conn.date = s.Date()
	}
	s.conns = append(s.conns, conn)
	return agentEnd{conn}, nil
}

func dialFailed(ctx context.Context) error {
	return fmt.Errorf("connecting to the relay: %w", ctx.Err())
}

// Dials are all handshakes, oldest first.
func (s *Server) Dials() []Dial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dials)
}

// Conns are all connections that were accepted, oldest first, those that have
// ended included.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Open are the connections that have not ended, oldest first.
func (s *Server) Open() []*Conn {
	return slices.DeleteFunc(s.Conns(), func(c *Conn) bool { return !c.Open() })
}

// Last is the newest connection, nil if there was none.
func (s *Server) Last() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		return nil
	}
	return s.conns[len(s.conns)-1]
}
