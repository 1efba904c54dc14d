package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func TestTheEnrollmentKeyIsForgottenOnceThereIsACredential(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		key := l.forgets()
		l.site.Script(ports.SiteCollisionPending{})
		r := l.start()
		is.True(key.Present()) // nothing is stored yet
		pass(time.Hour)
		r.expect(ports.StateConnected)
		is.True(!key.Present())
		is.Equal(l.logged("enrollment_key"), 1)
	})
}

func TestAKeyThatCouldNotBeStoredIsNoReasonToForget(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		key := l.forgets()
		l.disk.Inject(memory.Faults{Save: ports.ErrNotWritten})
		r := l.start()
		r.expect(ports.StateEnrolling)
		is.True(key.Present())
		l.disk.Inject(memory.Faults{})
		pass(time.Hour)
		r.expect(ports.StateConnected)
		is.True(!key.Present())
	})
}

func TestWhatACrashLeftIsForgottenAtTheNextStart(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, l *life){
		"run": func(t *testing.T, l *life) { l.start().stop() },
		"enroll": func(t *testing.T, l *life) {
			is.New(t).Equal(app.Enroll(t.Context(), l.deps(), app.EnrollOptions{Say: func(string) {}}), exitcode.Clean)
		},
		"identify --save": func(t *testing.T, l *life) {
			_, err := app.Identify(t.Context(), l.deps())
			is.New(t).NoErr(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(t *testing.T, is *is.I, l *life) {
				l.start().stop() // enrolls, and does not live to forget
				key := l.forgets()
				start(t, l)
				is.True(!key.Present())
			})
		})
	}
}

func TestAKeyThatIsNeededIsNotForgotten(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		l.start().stop()
		key := l.forgets()
		l.settings.SiteCode = "ANOTHER" // what is stored is of the former site
		for range 10 {
			l.site.Script(ports.SiteRejected{})
		}
		_, err := app.Identify(t.Context(), l.deps())
		is.NoErr(err)
		l.start()
		pass(time.Minute)
		is.True(key.Present())
	})
}

func TestAKeyThatCannotBeRemovedIsSaidOnceAStart(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		key := l.forgets()
		key.Inject(fmt.Errorf("%w: it is carved in stone", ports.ErrNotRemovable))
		for n := 1; n <= 2; n++ {
			r := l.start()
			pass(48 * time.Hour)
			l.relay.Last().Push(ports.RelayFrame{Type: ports.FrameReenroll}) // there is a credential once more
			pass(time.Hour)
			r.expect(ports.StateConnected)
			is.Equal(len(l.site.Requests()), n+1)
			is.Equal(r.Status().Blocked, "") // it does its work all the same
			is.Equal(l.logged("enrollment_key"), n)
			r.stop()
		}
	})
}

// Under systemd a step with root's rights finds out which machine this is; the
// agent itself may not. That holds while the state directory cannot be written.
func TestAnIdentityIsHandedOverWhileItCannotBeStored(t *testing.T) {
	live(t, func(t *testing.T, is *is.I, l *life) {
		runtime := memory.OpenStore(new(memory.Disk))
		l.change(func(w *app.Deps) { w.Handover = runtime })
		l.disk.Inject(memory.Faults{SaveIdentity: ports.ErrNotWritten, Reserve: ports.ErrNotWritten, SaveRetries: ports.ErrNotWritten})
		id, err := app.Identify(t.Context(), l.deps())
		is.True(err != nil) // it is told
		l.signals = memory.Signals{SystemUUID: ports.UnreadableSignal(), Virtual: true}
		r := l.start()
		r.expect(ports.StateEnrolling)
		is.Equal(r.Status().MachineUID, id.MachineUID)
		is.Equal(len(l.site.Requests()), 0)
		pass(time.Hour)

		l.disk.Inject(memory.Faults{})
		pass(time.Hour)
		r.expect(ports.StateConnected)
		stored, err := memory.OpenStore(l.disk).LoadIdentity(t.Context())
		is.NoErr(err)
		is.Equal(stored.AgentID, id.AgentID)
	})
}
