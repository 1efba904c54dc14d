package winservice

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/sys/windows/svc"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestSupervisorContract(t *testing.T) {
	t.Parallel()
	contracttest.Supervisor(t, func(*testing.T) ports.Supervisor { return newSupervisor() })
}

// scm is a service control manager's end of a host.
type scm struct {
	t        *testing.T
	requests chan svc.ChangeRequest
	states   chan svc.Status
	ended    chan [2]uint32 // specific, code
}

func starts(t *testing.T, h *host) *scm {
	s := &scm{t: t, requests: make(chan svc.ChangeRequest), states: make(chan svc.Status), ended: make(chan [2]uint32, 1)}
	if h.stopWithin == 0 {
		h.stopWithin = time.Hour
	}
	if h.progress == 0 {
		h.progress = time.Hour
	}
	go func() {
		specific, code := h.Execute(nil, s.requests, s.states)
		end := [2]uint32{0, code}
		if specific {
			end[0] = 1
		}
		s.ended <- end
	}()
	return s
}

// hears is the next thing that the host says.
func (s *scm) hears(want svc.State) svc.Status {
	s.t.Helper()
	got := after(s.t, s.states)
	if got.State != want {
		s.t.Fatalf("it says %+v, want %v", got, want)
	}
	return got
}

func (s *scm) asks(cmd svc.Cmd) {
	s.t.Helper()
	select {
	case s.requests <- svc.ChangeRequest{Cmd: cmd}:
	case <-time.After(time.Minute):
		s.t.Fatal("it does not listen")
	}
}

func (s *scm) seesEnd(specific, code uint32) {
	s.t.Helper()
	if got := after(s.t, s.ended); got != [2]uint32{specific, code} {
		s.t.Fatalf("it ends with %v", got)
	}
}

func after[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(time.Minute):
		t.Fatal("nothing comes")
	}
	return v
}

// until serves until it is stopped, then ends with a code.
func untilStopped(code int) func(context.Context, ports.Supervisor) int {
	return func(ctx context.Context, s ports.Supervisor) int {
		_ = s.Ready()
		<-ctx.Done()
		_ = s.Stopping()
		return code
	}
}

func TestALifeAsAService(t *testing.T) {
	t.Parallel()
	for _, order := range []svc.Cmd{svc.Stop, svc.Shutdown, svc.PreShutdown} {
		is := is.New(t)
		s := starts(t, &host{serve: untilStopped(0)})
		is.True(s.hears(svc.StartPending).WaitHint >= 10_000)
		is.Equal(s.hears(svc.Running).Accepts, svc.AcceptStop|svc.AcceptShutdown|svc.AcceptPreShutdown)
		s.asks(svc.Interrogate)
		s.hears(svc.Running)
		s.asks(svc.SessionChange) // and what else nobody asked to be told
		s.asks(svc.PowerEvent)
		s.asks(order)
		stopping := s.hears(svc.StopPending)
		is.True(stopping.WaitHint >= 10_000)
		is.Equal(stopping.Accepts, svc.Accepted(0))
		s.seesEnd(0, 0)
	}
}

func TestItRunsWhenItSaysSo(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ready := make(chan struct{})
	s := starts(t, &host{progress: time.Millisecond, serve: func(ctx context.Context, sup ports.Supervisor) int {
		<-ready
		return untilStopped(0)(ctx, sup)
	}})
	for n := range uint32(5) {
		is.Equal(s.hears(svc.StartPending).CheckPoint, n) // it goes on
	}
	close(ready)
	for {
		if status := after(t, s.states); status.State == svc.Running {
			break
		}
	}
	s.asks(svc.Stop)
	s.hears(svc.StopPending)
	for s.ended != nil {
		select {
		case end := <-s.ended:
			is.Equal(end, [2]uint32{0, 0})
			s.ended = nil
		case status := <-s.states:
			is.Equal(status.State, svc.StopPending)
		}
	}
}

// An end with an error is told as one, so that the recovery actions count it.
func TestAnEndWithAnError(t *testing.T) {
	t.Parallel()
	s := starts(t, &host{serve: func(context.Context, ports.Supervisor) int { return 1 }})
	s.hears(svc.StartPending)
	s.seesEnd(1, 1)
}

func TestAnEndByItself(t *testing.T) {
	t.Parallel()
	s := starts(t, &host{serve: func(_ context.Context, s ports.Supervisor) int {
		_ = s.Ready()
		_ = s.Ready()
		return 0
	}})
	s.hears(svc.StartPending)
	for {
		select {
		case <-s.states:
			continue
		case end := <-s.ended:
			is.New(t).Equal(end, [2]uint32{0, 0})
		}
		return
	}
}

// Whatever hangs, the service ends within its time; without an error, which
// would have it started again.
func TestItEndsWithinItsTime(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	defer close(over)
	s := starts(t, &host{stopWithin: 20 * time.Millisecond, serve: func(_ context.Context, s ports.Supervisor) int {
		_ = s.Ready()
		<-over
		return 1
	}})
	s.hears(svc.StartPending)
	s.hears(svc.Running)
	s.asks(svc.Stop)
	s.hears(svc.StopPending)
	s.asks(svc.Stop) // changes nothing
	s.seesEnd(0, 0)
}

func TestStartedByHand(t *testing.T) {
	alone(t)
	is := is.New(t)
	err := Run("muster-test-by-hand", func(context.Context, ports.Supervisor) int { t.Error("it runs"); return 0 })
	is.True(err != nil) // not started by the service control manager
	is.True(strings.Contains(err.Error(), "muster service start"))
}
