package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

func TestFirstStartEnrollsAndARestartDoesNot(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), 1)
		is.Equal(r.Status().Credential.Source, ports.CredentialEnrolled)
		first := l.relay.Last().Hello()
		is.True(first.Key.Equal(l.site.Key(first.MachineUID)))
		r.stop()
		is.True(l.relay.Last().ClosedNormally())

		pass(time.Hour)
		r = l.start()
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), 1) // not again
		is.Equal(len(l.relay.Conns()), 2)
		is.Equal(r.Status().Credential.Source, ports.CredentialStored)
		second := l.relay.Last().Hello()
		is.Equal(second.AgentID, first.AgentID)
		is.Equal(second.MachineUID, first.MachineUID)
		is.True(second.Key.Equal(first.Key))
	})
}

func TestEveryOutcomeIsShownWaitedOutAndHealed(t *testing.T) {
	for _, o := range outcomes {
		for _, u := range []float64{0, 0.5, 0.999} {
			t.Run(fmt.Sprintf("%s/u=%v", o.name, u), func(t *testing.T) {
				live(t, func(t *testing.T, is *is.I, l *life) {
					l.chance = func() float64 { return u }
					l.site.Script(o.outcome, o.outcome, o.outcome)
					r := l.start()
					r.expect(o.overall)
					st := r.Status()
					is.Equal(st.Site.State, o.site)
					is.True(st.Site.LastError != "")
					is.True(st.Site.NextAttempt.After(time.Now()))
					is.True(!st.Credential.Present)
					is.Equal(l.logged(o.event), 1)
					is.True(strings.Contains(l.log.String(), "class="+string(o.class)))
					is.True(strings.Contains(l.log.String(), "attempt=1"))

					pass(10 * time.Hour)
					r.expect(ports.StateConnected)
					is.Equal(r.Status().Site.State, ports.SiteStateEnrolled)
					is.Equal(r.Status().Site.LastError, "")
					gaps := l.gaps()
					is.Equal(len(gaps), 3)
					within(t, "the first wait", gaps[0], o.least, o.most)
					for _, gap := range gaps {
						within(t, "a wait", gap, o.least, 10*time.Hour)
					}
				})
			})
		}
	}
}

func TestEveryOutcomeAfterEveryOther(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		var script []ports.SiteOutcome
		for _, one := range outcomes {
			for _, other := range outcomes {
				script = append(script, one.outcome, other.outcome)
			}
		}
		l.site.Script(script...)
		r := l.start()
		pass(1000 * time.Hour)
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), len(script)+1)
	})
}

func TestRetryAfterIsNeverUndercut(t *testing.T) {
	for name, outcome := range map[string]ports.SiteOutcome{
		"202": ports.SiteCollisionPending{}, "429": ports.SiteRateLimited{}, "503": ports.SiteTransient{Reason: "status 503"},
	} {
		for header, least := range map[string]time.Duration{"2": 2 * time.Second, "600": 10 * time.Minute, "99999": time.Hour} {
			t.Run(name+"/"+header, func(t *testing.T) {
				live(t, func(t *testing.T, _ *is.I, l *life) {
					l.chance = func() float64 { return 0 }
					l.site.ScriptAnswers(ports.Answer[ports.SiteOutcome]{Outcome: outcome, RetryAfter: header})
					r := l.start()
					pass(time.Second)
					r.stop() // a restart does not forget it
					r = l.start()
					pass(2 * time.Hour)
					r.expect(ports.StateConnected)
					within(t, "the wait", l.gaps()[0], least, least+least/5+2*time.Minute)
				})
			})
		}
	}
}

func TestRestartsDoNotHurry(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.site.Answer = always(ports.SiteRejected{})
		for range 50 {
			r := l.start()
			pass(1200 * time.Millisecond)
			r.stop()
		}
		is.True(len(l.site.Requests()) >= 2)
		for _, gap := range l.gaps() {
			within(t, "between two requests", gap, 10*time.Second, time.Hour)
		}
	})
}

func TestCountsSurviveARestart(t *testing.T) {
	live(t, func(t *testing.T, _ *is.I, l *life) {
		l.chance = func() float64 { return 0.999 }
		l.site.Answer = always(ports.SiteTransient{Reason: "down"})
		r := l.start()
		pass(time.Hour)
		r.stop()
		before := len(l.site.Requests())
		r = l.start()
		pass(30 * time.Minute)
		r.stop()
		after := l.site.Requests()[before:]
		// One at the start, then at the ceiling of 5 min: not 5 s, 10 s, 20 s.
		within(t, "the second wait", after[1].At.Sub(after[0].At), 4*time.Minute, 5*time.Minute)
	})
}

func TestAChangedConfigurationStartsFromNothing(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.site.Script(ports.SiteRejected{})
		r := l.start()
		r.expect(ports.StateBlocked)
		r.stop()
		l.settings.EnrollmentKey = ports.NewSecret("cek_bbbbbbbbbbbbbbbbbbbbbbbb")
		r = l.start()
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), 2)
	})
}

func TestStopInTheMiddleOfEverything(t *testing.T) {
	for name, prepare := range map[string]func(*life){
		"a pending wait":     func(l *life) { l.site.Script(ports.SiteCollisionPending{}) },
		"an operator's wait": func(l *life) { l.site.Script(ports.SiteRejected{}) },
		"a request":          func(l *life) { l.site.Answer = memory.SilentSite },
		"a dial": func(l *life) {
			l.relay.Accept = func(ctx context.Context, _ ports.RelayHello) error { <-ctx.Done(); return ctx.Err() }
		},
		"a relay wait":           func(l *life) { l.relay.Accept = refuse("") },
		"a store that is full":   func(l *life) { l.disk.Inject(memory.Faults{Reserve: ports.ErrNotWritten}) },
		"an unreadable store":    func(l *life) { l.disk.Inject(memory.Faults{Load: ports.ErrUnreadable}) },
		"an unreadable identity": func(l *life) { l.disk.Inject(memory.Faults{LoadIdentity: ports.ErrUnreadable}) },
		"a connection":           func(*life) {},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, _ *is.I, l *life) {
				prepare(l)
				r := l.start()
				pass(5 * time.Second)
				r.stop()
			})
		})
	}
}

func TestWithoutRoomForAKeyNothingIsSent(t *testing.T) {
	for name, faults := range map[string]memory.Faults{
		"no room for the key":      {Reserve: ports.ErrNotWritten},
		"no room for the note":     {SaveRetries: ports.ErrNotWritten},
		"no room for the identity": {SaveIdentity: ports.ErrNotWritten},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				l.disk.Inject(faults)
				r := l.start()
				pass(time.Hour)
				r.expect(ports.StateEnrolling)
				is.Equal(len(l.site.Requests()), 0)
				is.True(strings.Contains(r.Status().Site.LastError, "nothing was sent"))
				l.disk.Inject(memory.Faults{})
				pass(6 * time.Minute)
				r.expect(ports.StateConnected)
				is.Equal(len(l.site.Requests()), 1)
			})
		})
	}
}

func TestAKeyThatCannotBeStoredIsUsedAndStoredLater(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.disk.Inject(memory.Faults{Save: errors.Join(ports.ErrNotWritten, errors.New("input/output error"))})
		r := l.start()
		pass(time.Hour)
		is.Equal(r.Status().Relay.State, ports.RelayStateConnected)
		is.True(strings.Contains(r.Status().Site.LastError, "could not be stored"))
		is.Equal(len(l.site.Requests()), 1)
		l.disk.Inject(memory.Faults{})
		pass(6 * time.Minute)
		r.expect(ports.StateConnected)
		r.stop()
		r = l.start()
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), 1)
	})
}

func TestAStoreThatOnlyAPersonCanRepairIsNeverEnrolledOver(t *testing.T) {
	for name, kind := range map[string]error{"unreadable": ports.ErrUnreadable, "newer": ports.ErrNewerFormat} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				l.start().stop()
				l.disk.Inject(memory.Faults{Load: fmt.Errorf("chmod 600 agent.cak: %w", kind)})
				r := l.start()
				pass(24 * time.Hour)
				r.expect(ports.StateBlocked)
				is.True(strings.Contains(r.Status().Blocked, "chmod 600"))
				is.Equal(len(l.site.Requests()), 1)
				l.disk.Inject(memory.Faults{})
				pass(6 * time.Minute)
				r.expect(ports.StateConnected)
				is.Equal(len(l.site.Requests()), 1)
			})
		})
	}
}

func TestAMachineWithAKeyConnectsThoughNothingCanBeWritten(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.start().stop()
		l.disk.Inject(memory.Faults{Reserve: ports.ErrNotWritten, Save: ports.ErrNotWritten, SaveIdentity: ports.ErrNotWritten, SaveRetries: ports.ErrNotWritten})
		r := l.start()
		r.expect(ports.StateConnected)
		for range 20 {
			l.relay.Last().Drop()
			pass(6 * time.Minute)
			r.expect(ports.StateConnected)
		}
		is.Equal(len(l.site.Requests()), 1)
	})
}

func TestALostKeyIsEnrolledForAgain(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		uid := r.Status().MachineUID
		r.stop()
		l.disk.Remove(memory.Credential)
		r = l.start()
		r.expect(ports.StateConnected)
		is.Equal(len(l.site.Requests()), 2)
		is.Equal(r.Status().MachineUID, uid)
	})
}

func TestAnotherSiteOrServer(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *ports.Settings){
		"another site":   func(_ *testing.T, s *ports.Settings) { s.SiteCode = "ACME-LAB" },
		"another server": func(t *testing.T, s *ports.Settings) { s.ServerURL = mustParse(t, "https://other.example.org") },
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				l.start().stop()
				old := l.stored()
				before := l.settings
				change(t, &l.settings)
				l.site.Script(ports.SiteTransient{Reason: "down"})
				dials := len(l.relay.Dials())
				r := l.start()
				is.Equal(len(l.relay.Dials()), dials) // the old key is sent to nobody
				is.True(l.stored().Equal(old))        // and kept
				pass(time.Minute)
				r.expect(ports.StateConnected)
				r.stop()
				is.True(!l.relay.Last().Hello().Key.Equal(old))

				l.settings = before // back again: the key is the other's
				r = l.start()
				r.expect(ports.StateConnected)
				is.Equal(len(l.site.Requests()), 4)
			})
		})
	}
}

func TestTheDeprecatedSharedKey(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.settings.SiteCode, l.settings.EnrollmentKey = "", ports.Secret{}
		l.settings.APIKey = ports.NewSecret("shared-key-of-old")
		r := l.start()
		r.expect(ports.StateConnected)
		is.Equal(r.Status().Credential.Source, ports.CredentialLegacy)
		is.Equal(l.relay.Last().Hello().Key.Reveal(), "shared-key-of-old")
		is.Equal(l.logged("legacy_api_key"), 1)
		r.stop()

		// A stored key wins over it.
		l.settings.SiteCode, l.settings.EnrollmentKey = "ACME-HQ", ports.NewSecret("cek_aaaaaaaaaaaaaaaaaaaaaaaa")
		r = l.start()
		r.expect(ports.StateConnected)
		r.stop()
		l.settings.SiteCode, l.settings.EnrollmentKey = "", ports.Secret{}
		r = l.start()
		is.Equal(r.Status().Credential.Source, ports.CredentialStored)
	})
}

func TestACloneEnrollsAsItself(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		original := r.Status()
		originalKey := l.relay.Last().Hello().Key
		r.stop()
		l.signals = memory.Signals{SystemUUID: ports.PresentSignal("99999999-0042-4a10-8054-b7c04f503632"), Virtual: true}
		l.random = 0xee
		clone := l.start()
		clone.expect(ports.StateConnected)
		is.True(clone.Status().MachineUID != original.MachineUID)
		is.True(clone.Status().AgentID != original.AgentID)
		is.True(!l.relay.Last().Hello().Key.Equal(originalKey))
		is.Equal(l.logged("clone.detected"), 1)
		for _, dial := range l.relay.Dials()[1:] {
			is.True(!dial.Hello.Key.Equal(originalKey)) // never with the original's key
		}
	})
}

func TestASignalThatMayNotBeReadEndsTheFirstStart(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.signals = memory.Signals{SystemUUID: ports.UnreadableSignal(), OSMachineID: ports.PresentSignal("0123456789abcdef0123456789abcdee")}
		err := app.New(l.deps()).Run(t.Context())
		is.True(errors.Is(err, app.ErrSignalDenied))
		is.True(strings.Contains(err.Error(), "sudo muster identify --save"))
		is.Equal(len(l.site.Requests()), 0)

		// Once saved with rights, the agent runs without them.
		readable := newLife(t)
		readable.disk = l.disk
		saved, err := app.Identify(t.Context(), readable.deps())
		is.NoErr(err)
		r := l.start()
		r.expect(ports.StateConnected)
		is.Equal(r.Status().MachineUID, saved.MachineUID)
	})
}

func TestALostIdentityIsRebuiltFromTheCredential(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		r := l.start()
		before := r.Status()
		r.stop()
		l.disk.Inject(memory.Faults{LoadIdentity: ports.ErrDamaged})
		l.signals = memory.Signals{SystemUUID: ports.UnreadableSignal(), Virtual: true}
		r = l.start()
		r.expect(ports.StateConnected)
		is.Equal(r.Status().MachineUID, before.MachineUID)
		is.Equal(r.Status().AgentID, before.AgentID)
		is.Equal(len(l.site.Requests()), 1)
	})
}

func TestAServiceWaitsForACommandAndYieldsToAService(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		end := l.command()
		r := l.start()
		pass(time.Hour)
		r.expect(ports.StateEnrolling)
		is.True(strings.Contains(r.Status().Site.LastError, "muster enroll"))
		is.Equal(len(l.site.Requests()), 0)
		end()
		pass(time.Second)
		r.expect(ports.StateConnected)

		err := app.New(l.deps()).Run(t.Context())
		is.True(errors.Is(err, ports.ErrLocked))
	})
}
