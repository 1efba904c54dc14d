package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// statusLimit is how long ports.StatusClient lets Status take.
const statusLimit = 2 * time.Second

var (
	errBrokeOff       = errors.New("it broke off")
	errEndpointClosed = errors.New("the endpoint in memory is closed")
)

// StatusEndpoint is a place where an agent serves and callers ask. It implements
// ports.StatusServer and ports.StatusClient. No agent runs at the zero value,
// which must not be copied.
type StatusEndpoint struct {
	// Closed: it cannot be opened. Set it before the first call.
	Closed bool
	// Forbidden: no caller may ask. Set it before the first call.
	Forbidden bool

	mu     sync.Mutex
	server *statusServing // nil: no agent is running
}

// statusServing is one call of Serve.
type statusServing struct {
	ctx   context.Context
	calls ports.LocalCalls
	asked sync.WaitGroup // by callers; added to only while it is the endpoint's
}

var (
	_ ports.StatusServer = (*StatusEndpoint)(nil)
	_ ports.StatusClient = (*StatusEndpoint)(nil)
)

// Serve implements ports.StatusServer. The newest call is the one that
// answers.
func (e *StatusEndpoint) Serve(ctx context.Context, calls ports.LocalCalls) error {
	if e.Closed {
		return errEndpointClosed
	}
	s := &statusServing{ctx: ctx, calls: calls}
	e.mu.Lock()
	e.server = s
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	if e.server == s {
		e.server = nil
	}
	e.mu.Unlock()
	s.asked.Wait()
	return nil
}

// Status implements ports.StatusClient.
func (e *StatusEndpoint) Status(ctx context.Context) (ports.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	return askAgent(ctx, e, func(s *statusServing) (ports.Status, error) {
		status := s.calls.Status()
		if status.ClockSkew != nil {
			status.ClockSkew = new(*status.ClockSkew)
		}
		return status, nil
	})
}

// RenewCertificates implements ports.StatusClient.
func (e *StatusEndpoint) RenewCertificates(ctx context.Context) (ports.RenewResult, error) {
	return askAgent(ctx, e, func(s *statusServing) (ports.RenewResult, error) { return s.calls.RenewCertificates(s.ctx) })
}

// askAgent waits for an answer until ctx is done. A call that goes on beyond that is
// answered to nobody.
func askAgent[T any](ctx context.Context, e *StatusEndpoint, call func(*statusServing) (T, error)) (answer T, err error) {
	if err := ctx.Err(); err != nil {
		return answer, notAnswering(err)
	}
	if e.Forbidden {
		return answer, fmt.Errorf("asking the agent in memory: %w", ports.ErrForbidden)
	}
	e.mu.Lock()
	s := e.server
	if s == nil || s.ctx.Err() != nil {
		e.mu.Unlock()
		return answer, fmt.Errorf("asking the agent in memory: %w", ports.ErrNotRunning)
	}
	s.asked.Add(1)
	e.mu.Unlock()

	answered, failed := make(chan T, 1), make(chan struct{})
	go func() {
		defer s.asked.Done()
		if a, err := call(s); err != nil {
			close(failed) // the agent keeps its reasons to itself, as on a socket
		} else {
			answered <- a
		}
	}()
	select {
	case answer = <-answered:
		return answer, nil
	case <-failed:
		return answer, notAnswering(errBrokeOff)
	case <-ctx.Done():
		return answer, notAnswering(ctx.Err())
	}
}

func notAnswering(why error) error {
	return fmt.Errorf("asking the agent in memory: %w (%w)", ports.ErrNotAnswering, why)
}
