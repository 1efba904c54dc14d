package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-agent/muster/adapters/internal/redact"
	"github.com/muster-agent/muster/ports"
)

// What a connection's methods return once it has ended.
var (
	errDropped    = errors.New("the relay's connection broke")
	errConnClosed = errors.New("the relay's connection is closed")
)

// RelayConn is the relay's end of a connection.
type RelayConn struct {
	hello  ports.RelayHello
	opened time.Time
	date   time.Time

	frames chan ports.RelayFrame
	pings  chan chan struct{} // a ping under way, and where its pong goes
	over   chan struct{}      // closed when the connection has ended

	mu      sync.Mutex
	err     error // why it has ended
	mute    bool  // neither pongs nor answers a close
	closing bool  // the agent has sent its close frame
	sent    []SentStatus
	pinged  []time.Time
}

// SentStatus is a frame from the agent.
type SentStatus struct {
	ports.AgentStatus
	At time.Time
}

func newRelayConn(hello ports.RelayHello) *RelayConn {
	return &RelayConn{
		hello: hello, opened: time.Now(),
		frames: make(chan ports.RelayFrame, 64), pings: make(chan chan struct{}), over: make(chan struct{}),
	}
}

// Hello is what the agent presented.
func (c *RelayConn) Hello() ports.RelayHello { return c.hello }

// Push sends a frame to the agent. It panics when the agent has left 64
// frames unread.
func (c *RelayConn) Push(frame ports.RelayFrame) {
	select {
	case c.frames <- frame:
	default:
		panic("memory: the agent does not receive")
	}
}

// Drop breaks the connection, as a network does.
func (c *RelayConn) Drop() { c.end(errDropped) }

// StopPongs makes the relay answer neither pings nor a close any more, as on a
// network that silently loses everything.
func (c *RelayConn) StopPongs() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = true
}

// Open reports whether the connection has not ended.
func (c *RelayConn) Open() bool {
	select {
	case <-c.over:
		return false
	default:
		return true
	}
}

// Opened is when the handshake was accepted.
func (c *RelayConn) Opened() time.Time { return c.opened }

// ClosedNormally reports that the agent sent its normal close frame.
func (c *RelayConn) ClosedNormally() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// Sent are the frames that the agent has sent, oldest first.
func (c *RelayConn) Sent() []SentStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// Pings are when the agent sent its pings, oldest first.
func (c *RelayConn) Pings() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pinged)
}

func (c *RelayConn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.over)
	}
}

// why is the reason for the connection's end; nil while it is open.
func (c *RelayConn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// agentEnd is the agent's end of a connection.
type agentEnd struct{ c *RelayConn }

var _ ports.RelayConn = agentEnd{}

func (a agentEnd) Send(ctx context.Context, status ports.AgentStatus) error {
	if ctx.Err() != nil {
		return fmt.Errorf("sending to the relay: %w", ctx.Err())
	}
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	if a.c.err != nil {
		return a.c.err
	}
	a.c.sent = append(a.c.sent, SentStatus{status, time.Now()})
	return nil
}

// fit is a frame as its port has it.
func fit(frame ports.RelayFrame) ports.RelayFrame {
	return ports.RelayFrame{Type: redact.Name(frame.Type)}
}

// Receive ends the connection when ctx ends, which is the harsher behaviour that
// ports.RelayConn allows.
func (a agentEnd) Receive(ctx context.Context) (ports.RelayFrame, error) {
	for {
		if err := a.c.why(); err == errConnClosed {
			return ports.RelayFrame{}, err
		}
		select { // what came before the relay's end is received before it
		case frame := <-a.c.frames:
			return fit(frame), nil
		default:
		}
		select {
		case frame := <-a.c.frames:
			return fit(frame), nil
		case pong := <-a.c.pings:
			a.c.mu.Lock()
			mute := a.c.mute
			a.c.mu.Unlock()
			if !mute {
				close(pong)
			}
		case <-a.c.over:
			return ports.RelayFrame{}, a.c.why()
		case <-ctx.Done():
			a.c.end(errDropped)
			return ports.RelayFrame{}, fmt.Errorf("receiving from the relay: %w", ctx.Err())
		}
	}
}

// Ping gets its pong by way of a Receive, as on a real connection.
func (a agentEnd) Ping(ctx context.Context) error {
	a.c.mu.Lock()
	if a.c.err == nil {
		a.c.pinged = append(a.c.pinged, time.Now())
	}
	a.c.mu.Unlock()
	pong := make(chan struct{})
	pings := a.c.pings
	for {
		select {
		case pings <- pong:
			pings = nil // it is on its way
		case <-pong:
			return nil
		case <-a.c.over:
			return a.c.why()
		case <-ctx.Done():
			return fmt.Errorf("no pong came from the relay: %w", ctx.Err())
		}
	}
}

func (a agentEnd) Close(ctx context.Context) error {
	a.c.mu.Lock()
	mute, ended := a.c.mute, a.c.err != nil
	if !ended {
		a.c.closing = true
	}
	a.c.mu.Unlock()
	if ended {
		return nil
	}
	if mute {
		select {
		case <-ctx.Done():
			a.c.end(errConnClosed)
			return fmt.Errorf("the relay did not confirm the close: %w", ctx.Err())
		case <-a.c.over:
			return nil
		}
	}
	a.c.end(errConnClosed)
	return nil
}

func (a agentEnd) ServerTime() time.Time { return a.c.date }
