package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

func TestAKeyRefusedForTenHoursIsKept(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		key := l.relay.Last().Hello().Key
		l.redialTo(refuse(""))

		pass(10 * time.Minute)
		is.Equal(r.Status().Relay.State, ports.RelayStateRefused)
		r.expect(ports.StateConnecting)
		pass(10 * time.Minute)
		r.expect(ports.StateBlocked) // after 15 minutes
		pass(10 * time.Hour)
		r.expect(ports.StateBlocked)
		is.Equal(len(l.site.Requests()), 1) // no enrollment
		is.True(l.stored().Equal(key))
		is.True(l.logged("credential.refused") > 20)

		l.handshake(nil)
		pass(6 * time.Minute)
		r.expect(ports.StateConnected)
		is.True(l.relay.Last().Hello().Key.Equal(key))
	})
}

func TestRefusedForLongerThanADayEnrollmentIsTriedOncePerOperatorWait(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		var key atomic.Pointer[ports.Secret] // what the site gives; nil: it is down
		first := ports.NewSecret("cak_memsite000000000001")
		key.Store(&first)
		l.site.Answer = func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
			if k := key.Load(); k != nil {
				return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledAgain{Key: *k}}
			}
			return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteTransient{Reason: "down"}}
		}
		r := l.start()
		key.Store(nil)
		l.redialTo(refuse(""))
		pass(23 * time.Hour)
		is.Equal(len(l.site.Requests()), 1)
		pass(25 * time.Hour)
		tries := len(l.site.Requests()) - 1
		is.True(tries >= 4 && tries <= 12) // 15 min, 30 min, 1 h, … 6 h: not every few minutes
		for _, gap := range l.gaps()[1:] {
			within(t, "between two tries", gap, 12*time.Minute, 7*time.Hour+12*time.Minute)
		}
		dials := len(l.relay.Dials())
		pass(time.Hour)
		is.True(len(l.relay.Dials())-dials >= 10) // the key is retried beside it

		second := ports.NewSecret("cak_memsite000000000002")
		l.handshake(refuseKey(first, ""))
		key.Store(&second)
		pass(8 * time.Hour)
		r.expect(ports.StateConnected)
	})
}

func TestReenrollmentCanBeSwitchedOff(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.settings.ReenrollAfter = 0
		l.relay.Accept = refuse("")
		l.start()
		pass(72 * time.Hour)
		is.Equal(len(l.site.Requests()), 1)
	})
}

func TestUnknownAgentEnrollsAgainAndKeepsTheOldKeyUntilThen(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		old := l.relay.Last().Hello().Key
		l.site.Script(ports.SiteTransient{Reason: "down"}, ports.SiteCollisionPending{})
		l.redialTo(refuseKey(old, ports.RefusedUnknownAgent))
		pass(4*time.Minute + 50*time.Second)
		is.Equal(len(l.site.Requests()), 1) // not before 5 minutes are over
		for len(l.site.Requests()) < 3 {
			pass(time.Second)
		}
		is.True(l.stored().Equal(old))
		is.True(l.relay.Dials()[len(l.relay.Dials())-1].Hello.Key.Equal(old)) // still in use
		pass(20 * time.Minute)
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), 4)
		is.True(!l.relay.Last().Hello().Key.Equal(old))
		is.True(l.stored().Equal(l.relay.Last().Hello().Key))
	})
}

func TestUnknownAgentThatIsKnownAgainEnrollsNoMore(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		key := ports.NewSecret("cak_memsite000000000001")
		l.site.Script(ports.SiteEnrolledNew{Key: key})
		l.site.Answer = always(ports.SiteRejected{}) // after that
		r := l.start()
		l.redialTo(refuse(ports.RefusedUnknownAgent))
		pass(time.Hour)
		r.expect(ports.StateBlocked)
		l.handshake(nil)
		pass(7 * time.Minute)
		r.expect(ports.StateConnected)
		is.Equal(r.Status().Site.State, ports.SiteStateEnrolled)
		tries := len(l.site.Requests())
		pass(100 * time.Hour)
		is.Equal(len(l.site.Requests()), tries)
	})
}

func TestRevokedIsAnOperatorsDecision(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		l.redialTo(refuse(ports.RefusedCredentialRevoked))
		pass(2 * time.Minute)
		r.expect(ports.StateConnecting)
		pass(8 * time.Minute)
		r.expect(ports.StateBlocked)
		is.True(strings.Contains(r.Status().Blocked, "muster enroll --force"))
		dials := len(l.relay.Dials())
		pass(48 * time.Hour)
		is.Equal(len(l.site.Requests()), 1)                // never by itself
		is.True(len(l.relay.Dials())-dials <= 48*60/12+10) // class operator
		r.stop()

		r = l.start() // a restart does not forget it
		pass(time.Second)
		r.expect(ports.StateBlocked)
		l.handshake(nil)
		pass(8 * time.Hour)
		r.expect(ports.StateConnected)
		pass(2 * time.Minute)
		is.Equal(r.Status().Blocked, "")
	})
}

func TestRevokedThenUnknownEnrollsAgain(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		old := l.relay.Last().Hello().Key
		l.redialTo(refuse(ports.RefusedCredentialRevoked))
		pass(time.Hour)
		r.expect(ports.StateBlocked)
		l.handshake(refuseKey(old, ports.RefusedUnknownAgent))
		pass(24 * time.Hour)
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), 2)
	})
}

func TestWithSkewARefusalCountsForNothing(t *testing.T) {
	for name, code := range map[string]string{"without a code": "", "unknown": ports.RefusedUnknownAgent, "revoked": ports.RefusedCredentialRevoked} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				r := l.start()
				l.redialTo(func(context.Context, ports.RelayHello) error {
					return &ports.RelayRefusedError{Status: 401, Code: code, ServerTime: time.Now().Add(-48 * time.Hour)}
				})
				pass(72 * time.Hour)
				is.Equal(len(l.site.Requests()), 1)
				r.expect(ports.StateConnecting)
				is.Equal(l.logged("clock.skew"), 1)
				is.Equal(*r.Status().ClockSkew, -48*time.Hour)
				l.handshake(nil)
				pass(6 * time.Minute)
				r.expect(ports.StateConnected)
			})
		})
	}
}

func TestWithoutAnEnrollmentKeyItGoesOnAndSaysWhatItNeeds(t *testing.T) {
	for name, code := range map[string]string{"without a code": "", "unknown": ports.RefusedUnknownAgent} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				l.start().stop()
				l.settings.EnrollmentKey = ports.Secret{}
				l.relay.Accept = refuse(code)
				r := l.start()
				pass(25 * time.Hour)
				r.expect(ports.StateBlocked)
				is.Equal(len(l.site.Requests()), 1)
				is.True(strings.Contains(r.Status().Relay.LastError, "MUSTER_ENROLLMENT_KEY"))
				is.True(len(l.relay.Dials()) > 200) // it goes on
			})
		})
	}
}

func TestReenrollFrameIsObeyedOnceAnHour(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		old := l.relay.Last().Hello().Key
		for range 3 {
			l.relay.Last().Push(ports.RelayFrame{Type: ports.FrameReenroll})
			pass(time.Minute)
		}
		is.Equal(len(l.site.Requests()), 2)
		r.expect(ports.StateConnected)
		is.True(!l.relay.Last().Hello().Key.Equal(old)) // connected again with the new key
		is.Equal(len(l.relay.Open()), 1)
		r.stop()

		l.start() // a restart does not forget it
		l.relay.Last().Push(ports.RelayFrame{Type: ports.FrameReenroll})
		pass(time.Minute)
		is.Equal(len(l.site.Requests()), 2)
		pass(time.Hour)
		l.relay.Last().Push(ports.RelayFrame{Type: ports.FrameReenroll})
		pass(time.Minute)
		is.Equal(len(l.site.Requests()), 3)
	})
}

func TestUnknownFramesAreIgnoredAndLoggedOnce(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		for range 5 {
			l.relay.Last().Push(ports.RelayFrame{Type: "dance"})
			l.relay.Last().Push(ports.RelayFrame{Type: "evil\nevent=credential.stored"})
			pass(time.Second)
		}
		r.expect(ports.StateConnected)
		is.Equal(strings.Count(l.log.String(), "dance"), 1)
		is.Equal(l.logged("credential.stored"), 1) // the real one
	})
}

func TestAConnectionIsKeptAliveAndTellsItsStatus(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		pass(10*time.Minute + time.Second)
		conn := l.relay.Last()
		is.Equal(len(l.relay.Conns()), 1)
		is.Equal(len(conn.Pings()), 20) // every 30 s
		sent := conn.Sent()
		is.Equal(len(sent), 11) // at once, then every 60 s
		for i, s := range sent {
			is.Equal(s.At.Sub(conn.Opened()), time.Duration(i)*time.Minute)
			is.Equal(s.Hostname, "desk-17")
			is.Equal(s.Version, "1.2.3")
			is.Equal(s.MachineUID, r.Status().MachineUID)
			is.Equal(s.Uptime.Round(time.Second), time.Duration(i)*time.Minute)
			is.Equal(s.Certificate.Status, ports.CertNotConfigured)
		}
	})
}

func TestADeadConnectionIsNoticed(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		pass(5 * time.Minute)
		first := l.relay.Last()
		first.StopPongs()
		pass(45 * time.Second) // a ping, 10 s, a wait of at most 5 s
		is.True(!first.Open())
		is.Equal(len(l.relay.Conns()), 2)
		is.True(strings.Contains(l.log.String(), "no answer to a ping within 10 s"))
		r.expect(ports.StateConnected)
	})
}

func TestAConnectionThatIsDroppedSoonDoesNotCountAsASuccess(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.chance = func() float64 { return 0.999 }
		l.start()
		connected := func() {
			for len(l.relay.Open()) == 0 {
				pass(time.Second)
			}
		}
		for range 10 { // two machines evict each other
			connected()
			pass(58 * time.Second)
			l.relay.Last().Drop()
		}
		n := len(l.relay.Dials())
		pass(4 * time.Minute)
		is.Equal(len(l.relay.Dials()), n) // they do not race
		connected()
		pass(retry.ProvenAfter) // this one lasts
		l.relay.Last().Drop()
		n = len(l.relay.Dials())
		pass(5 * time.Second)
		is.Equal(len(l.relay.Dials()), n+1) // from the beginning again
	})
}

func TestARelayThatIsDownIsTriedWithPatience(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.handshake(func(context.Context, ports.RelayHello) error { return errors.New("connection refused") })
		r := l.start()
		pass(time.Hour)
		r.expect(ports.StateConnecting)
		is.True(strings.Contains(r.Status().Relay.LastError, "connection refused"))
		is.Equal(len(l.site.Requests()), 1)
		dials := l.relay.Dials()
		for i := 1; i < len(dials); i++ {
			within(t, "between two dials", dials[i].At.Sub(dials[i-1].At), time.Second, 5*time.Minute)
		}
		l.handshake(nil)
		pass(5 * time.Minute)
		r.expect(ports.StateConnected)
	})
}

func TestTheRelaysRetryAfterIsNeverUndercut(t *testing.T) {
	// A date is counted from the server's time, which is not ours.
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	for header, least := range map[string]time.Duration{
		"2": 2 * time.Second, "600": 10 * time.Minute, "99999": time.Hour,
		now.Add(20 * time.Minute).Format(http.TimeFormat): 20 * time.Minute,
	} {
		for _, restarts := range []int{0, 3} {
			t.Run(fmt.Sprintf("%s/%d restarts", header, restarts), func(t *testing.T) {
				live(t, func(t *testing.T, is *is.I, l *life) {
					l.chance = func() float64 { return 0 }
					l.relay.Accept = busyOnce(ports.RelayBusyError{Status: 503, RetryAfter: header, ServerTime: now})
					r := l.start()
					for range restarts {
						pass(500 * time.Millisecond)
						r.stop()
						r = l.start()
						r.expect(ports.StateConnecting)
						is.True(strings.Contains(r.Status().Relay.LastError, "503"))
					}
					pass(2 * time.Hour)
					r.expect(ports.StateConnected)
					dials := l.relay.Dials()
					is.Equal(len(dials), 2)
					within(t, "the wait", dials[1].At.Sub(dials[0].At), least, least+least/5+2*time.Second)
				})
			})
		}
	}
}

func TestANewKeyDoesNotWaitForWhatTheOldOneWasTold(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		old := l.relay.Last().Hello().Key
		var busy atomic.Int32
		l.site.Answer = func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
			if busy.Load() == 0 {
				return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteTransient{Reason: "down"}}
			}
			return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteEnrolledAgain{Key: ports.NewSecret("cak_memsite000000000099")}}
		}
		l.redialTo(refuse(ports.RefusedUnknownAgent))
		for len(l.site.Requests()) < 2 {
			pass(time.Second)
		}
		l.handshake(func(_ context.Context, hello ports.RelayHello) error {
			if !hello.Key.Equal(old) {
				return nil
			}
			busy.Add(1)
			return &ports.RelayBusyError{Status: 429, RetryAfter: "3600"}
		})
		pass(30 * time.Minute)
		r.expect(ports.StateConnected)
		is.True(!l.relay.Last().Hello().Key.Equal(old))
		is.Equal(int(busy.Load()), 1)
	})
}

func TestAnotherRelayDoesNotWaitForWhatTheFirstAsked(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.relay.Accept = busyOnce(ports.RelayBusyError{Status: 503, RetryAfter: "3600"})
		l.start().stop()
		l.settings.RelayURL = mustParse(t, "wss://relay.example.org")
		r := l.start()
		is.Equal(len(l.relay.Dials()), 2)
		r.expect(ports.StateConnected)
	})
}

func TestABusyRelaysClockIsLookedAt(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.relay.Accept = busyOnce(ports.RelayBusyError{Status: 503, RetryAfter: "600", ServerTime: time.Now().Add(-48 * time.Hour)})
		r := l.start()
		skew := r.Status().ClockSkew
		is.True(skew != nil && skew.Round(time.Minute) == -48*time.Hour)
	})
}

func TestAClockSetBackDoesNotStretchTheRelaysRetryAfter(t *testing.T) {
	live(t, func(t *testing.T, _ *is.I, l *life) {
		l.relay.Accept = busyOnce(ports.RelayBusyError{Status: 503, RetryAfter: "600"})
		r := l.start()
		pass(time.Minute)
		l.setClock(-24 * time.Hour)
		pass(time.Hour)
		r.expect(ports.StateConnected)
		dials := l.relay.Dials()
		within(t, "the wait", dials[1].At.Sub(dials[0].At), 10*time.Minute, 12*time.Minute)
	})
}

func TestAWaitFollowsTheWallClockToo(t *testing.T) {
	for name, test := range map[string]struct {
		jump        time.Duration
		least, most time.Duration
	}{
		// The machine slept through the wait: it ends at the next look.
		"forward": {24 * time.Hour, 5 * time.Second, 40 * time.Second},
		// The clock was set back: the wait is no longer than it was to be.
		"back": {-24 * time.Hour, 12 * time.Minute, 18 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, _ *is.I, l *life) {
				l.site.Script(ports.SiteRejected{})
				l.start()
				pass(5 * time.Second)
				l.setClock(test.jump)
				pass(time.Hour)
				within(t, "the wait", l.gaps()[0], test.least, test.most)
			})
		})
	}
}
