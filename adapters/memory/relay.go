package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Relay implements ports.RelayDialer. The zero value is a relay that accepts
// everyone. Set its fields before the first dial.
type Relay struct {
	// Accept, if set, decides every handshake: nil accepts, any other error
	// is what Dial returns (*ports.RelayRefusedError for a refused key,
	// *ports.RelayBusyError for one that is put off). It may block until ctx
	// is done, as a silent relay does.
	Accept func(ctx context.Context, hello ports.RelayHello) error
	// Date, if set, is the relay's clock, as its handshakes tell it.
	Date func() time.Time

	mu    sync.Mutex
	dials []Handshake
	conns []*RelayConn
}

var _ ports.RelayDialer = (*Relay)(nil)

// Handshake is a handshake that reached the relay.
type Handshake struct {
	Hello ports.RelayHello
	At    time.Time
	Err   error // nil if it was accepted or is not decided yet
}

// Dial implements ports.RelayDialer.
func (s *Relay) Dial(ctx context.Context, hello ports.RelayHello) (ports.RelayConn, error) {
	limited, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	if limited.Err() != nil {
		return nil, dialFailed(limited)
	}
	s.mu.Lock()
	n := len(s.dials)
	s.dials = append(s.dials, Handshake{Hello: hello, At: time.Now()})
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
	conn := newRelayConn(hello)
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
func (s *Relay) Dials() []Handshake {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dials)
}

// Conns are all connections that were accepted, oldest first, those that have
// ended included.
func (s *Relay) Conns() []*RelayConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Open are the connections that have not ended, oldest first.
func (s *Relay) Open() []*RelayConn {
	return slices.DeleteFunc(s.Conns(), func(c *RelayConn) bool { return !c.Open() })
}

// Last is the newest connection, nil if there was none.
func (s *Relay) Last() *RelayConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		return nil
	}
	return s.conns[len(s.conns)-1]
}
