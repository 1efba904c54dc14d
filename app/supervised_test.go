package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

func TestTheSupervisorIsToldEachChange(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		s := l.supervise(new(told))
		l.site.Script(ports.SiteCollisionPending{}, ports.SiteTransient{Reason: "status 503"})
		r := l.start()
		is.True(s.has("ready")) // long before it is enrolled
		is.True(s.has("status waiting for an operator's confirmation since 00:00, next check in 60 s"))
		pass(time.Hour)
		is.True(strings.Contains(fmt.Sprint(s.heard()), "status 503, next attempt in 3 s"))
		is.True(s.has("status connected to the relay since 00:01"))
		r.stop()
		is.True(s.has("stopping"))
	})
}

// What its parts meet while they end is not told any more.
func TestTheSupervisorIsToldLastThatItStops(t *testing.T) {
	for range 50 {
		live(t, func(t *testing.T, _ *is.I, l *life) {
			s := l.supervise(new(told))
			l.start().stop()
			heard := s.heard()
			is.New(t).Equal(heard[len(heard)-1], "status stopping")
		})
	}
}

func TestTheSupervisorIsToldWhatIsWaitedFor(t *testing.T) {
	for name, hinder := range map[string]struct {
		command bool // holds the lock
		faults  memory.Faults
		says    string
	}{
		"a command holds the lock":     {true, memory.Faults{}, "waiting for 'muster enroll' (process "},
		"the lock cannot be taken":     {false, memory.Faults{TryLock: errors.New("chmod 700 it")}, "needs an operator: chmod 700 it"},
		"the identity may not be read": {false, memory.Faults{LoadIdentity: ports.ErrUnreadable}, "needs an operator: cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				s := l.supervise(new(told))
				end := func() {}
				if hinder.command {
					end = l.command()
				}
				l.disk.Inject(hinder.faults)
				r := l.start()
				is.True(s.has("ready")) // it supervises itself
				is.True(strings.Contains(fmt.Sprint(s.heard()), hinder.says))
				end()
				l.disk.Inject(memory.Faults{})
				pass(time.Hour)
				r.expect(ports.StateConnected)
			})
		})
	}
}

func TestAPartThatHangsIsSeenByTheWatchdog(t *testing.T) {
	for name, test := range map[string]struct {
		before func(l *life, shut *atomic.Bool, free chan struct{}) // the start
		after  func(l *life, shut *atomic.Bool)
		part   string
	}{
		"the first enrollment": {
			before: func(_ *life, shut *atomic.Bool, _ chan struct{}) { shut.Store(true) },
			part:   "site enrollment",
		},
		"a later enrollment": {
			after: func(l *life, shut *atomic.Bool) {
				pass(48 * time.Hour)
				shut.Store(true)
				l.relay.Last().Push(ports.RelayFrame{Type: ports.FrameReenroll})
			},
			part: "site enrollment",
		},
		"the relay": {
			before: func(l *life, _ *atomic.Bool, free chan struct{}) {
				l.relay.Accept = func(context.Context, ports.RelayHello) error { <-free; return nil }
				l.site.Script(ports.SiteCollisionPending{}) // until then it waits for a key
			},
			part: "relay connection",
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				var shut atomic.Bool // the site hangs, whatever its context says, until it is free
				free := make(chan struct{})
				l.site.Answer = func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
					if shut.Load() {
						<-free
					}
					return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledAgain{Key: ports.NewSecret("cak_memsite000000000001")}}
				}
				s := l.supervise(&told{watchdog: 30 * time.Second})
				if test.before != nil {
					test.before(l, &shut, free)
				}
				r := l.start()
				if test.after != nil {
					test.after(l, &shut)
				}
				pass(2 * time.Minute)
				is.True(s.fedSince(2*time.Minute) >= 4) // at the start, then every 30 s
				pass(10 * time.Minute)
				is.Equal(s.fedSince(5*time.Minute), 0) // so the supervisor restarts it
				is.Equal(l.logged("supervisor"), 1)
				is.True(strings.Contains(l.log.String(), test.part))

				close(free)
				pass(time.Minute)
				r.expect(ports.StateConnected)
				is.True(s.fedSince(time.Minute) >= 1)
			})
		})
	}
}

// Only what works may hang; what waits is as it should be.
func TestAnAgentThatWaitsFeedsTheWatchdog(t *testing.T) {
	for name, set := range map[string]func(l *life){
		"for its relay":        func(*life) {},
		"for an operator":      func(l *life) { l.site.Answer = always(ports.SiteRejected{}) },
		"for a key":            func(l *life) { l.settings.EnrollmentKey = ports.Secret{} },
		"for a command to end": func(l *life) { l.command() },
		"for its state to be readable": func(l *life) {
			l.disk.Inject(memory.Faults{LoadIdentity: ports.ErrUnreadable, Load: ports.ErrUnreadable})
		},
		"for a disk that is full": func(l *life) {
			l.disk.Inject(memory.Faults{Reserve: ports.ErrNotWritten, SaveIdentity: ports.ErrNotWritten, SaveRetries: ports.ErrNotWritten})
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, _ *is.I, l *life) {
				set(l)
				s := l.supervise(&told{watchdog: 30 * time.Second})
				r := l.start()
				pass(48 * time.Hour)
				if n := s.fedSince(48 * time.Hour); n != 48*120 {
					t.Errorf("it was fed %d times in two days", n)
				}
				r.stop()
				pass(time.Hour)
				if n := s.fedSince(time.Hour); n != 0 {
					t.Errorf("it was fed %d times after it had stopped", n)
				}
			})
		})
	}
}

func TestAnAgentThatIsReplacedDoesNotSayThatItStops(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		s := l.supervise(new(told))
		ctx, end := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() { done <- app.New(l.deps()).Run(ctx) }()
		synctest.Wait()
		end(app.ErrReplaced)
		is.NoErr(<-done)
		is.True(!s.has("stopping"))
		is.Equal(l.logged("stopping"), 0)
	})
}
