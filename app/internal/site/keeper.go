// Package site gets this machine an API key from its site's server, and keeps
// it.
package site

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/identity"
	"github.com/muster-agent/muster/app/internal/latest"
	"github.com/muster-agent/muster/app/internal/skew"
	"github.com/muster-agent/muster/app/internal/tracker"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Keeper finds, asks for and stores the API key. One goroutine at a time uses
// it. Set the exported fields before the first call.
type Keeper struct {
	Enroller    ports.SiteEnroller // nil where site enrollment is not configured
	Credentials ports.CredentialStore
	KeyPlace    ports.EnrollmentKeyPlace // nil where the enrollment key stays
	Settings    ports.Settings
	Hostname    string
	Identity    *identity.Keeper
	Attempts    *attempts.Record
	Tracker     *tracker.Tracker
	Skew        *skew.Clock
	APIKey      *latest.Value[ports.Secret] // the key in use; empty if there is none
	Wanted      Wanted
	Wall        func() time.Time
	Log         *slog.Logger

	keyForgotten bool // see ForgetKey
}

// Result is the closed set of ends of an attempt.
//
//sumtype:decl
type Result interface{ result() }

type (
	// Stored: there is a new key, durably stored and in use.
	Stored struct{}
	// Unsaved: there is a new key, in use and not stored, because of Err. Store
	// stores it.
	Unsaved struct {
		Credential ports.Credential
		Err        error
	}
	// Failed: there is none; try again after the pause.
	Failed struct {
		Advice string
		Pause  retry.Pause
	}
	// Stopped: ctx ended before the answer came.
	Stopped struct{}
)

func (Stored) result()  {}
func (Unsaved) result() {}
func (Failed) result()  {}
func (Stopped) result() {}

func (k *Keeper) target() string { return retry.SiteTarget(k.Settings) }

// HeldBack is how long the first attempt of this process must wait because of
// earlier ones.
func (k *Keeper) HeldBack(ctx context.Context, asker retry.Asker) time.Duration {
	entry, err := k.Attempts.Entry(ctx, ports.ActivitySite, k.target())
	if err != nil {
		k.Log.Warn(err.Error(), ports.EventEnrollRetry.Attr())
	}
	pause := retry.NotBefore(entry, k.Settings.Delays, asker, k.Wall())
	if entry.State != "" { // what an earlier process met still stands
		k.Tracker.Update(func(st *ports.Status) {
			st.Site = ports.SiteStatus{State: ports.SiteState(entry.State), Since: entry.Since, LastError: entry.LastError, NextAttempt: k.Wall().Add(pause)}
		})
	}
	if pause > 0 {
		attempts.LogHeldBack(k.Log, ports.EventEnrollRetry, k.Settings.ServerURL.Host, retry.Resumed(entry, pause))
	}
	return pause
}

// Attempt asks once for a key and stores it. Nothing is sent unless the
// identity and a note of the attempt are on disk and there is room for the
// key. A failure is retried at least as slowly as class patience.
func (k *Keeper) Attempt(ctx context.Context, patience ports.DelayClass) Result {
	k.Tracker.Update(func(st *ports.Status) { st.Site.NextAttempt = time.Time{} })
	if err := k.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return Stopped{}
		}
		return k.failed(ctx, enrollment.SitePassing(fmt.Sprintf("nothing was sent, because a key could not be stored now: %v", err)), 0, patience)
	}

	set := k.Settings
	k.Log.Info("asking "+set.ServerURL.Host+" for a key", ports.EventEnrollAttempt.Attr(), slog.String("site", set.SiteCode))
	asking, cancel := wait.Grace(ctx)
	answer := k.Enroller.Enroll(asking, ports.SiteRequest{
		SiteCode:      set.SiteCode,
		EnrollmentKey: set.EnrollmentKey,
		MachineUID:    k.Identity.Identity().MachineUID,
		Hostname:      k.Hostname,
		Labels:        set.Labels,
	})
	cancel()
	k.Skew.Observe(answer.ServerTime)
	switch next := enrollment.AfterSite(answer.Outcome, set.ServerURL.Host, set.SiteCode).(type) {
	case enrollment.SiteStore:
		return k.enrolled(ctx, next)
	case enrollment.SiteFail:
		if ctx.Err() != nil {
			return Stopped{}
		}
		return k.failed(ctx, next, k.Attempts.Asked(answer.RetryAfter, answer.ServerTime), patience)
	}
	return Stopped{} // a linter checks that the switch is whole
}

// prepare makes sure that a crash after the request loses nothing.
func (k *Keeper) prepare(ctx context.Context) error {
	err := k.Identity.Save(ctx)
	if err == nil {
		err = k.Credentials.Reserve(ctx)
	}
	// Last, because the request follows at once; and in any case, because an
	// attempt that could not be made counts for the wait, too.
	if noteErr := k.Attempts.Begin(ctx, ports.ActivitySite, k.target()); err == nil {
		err = noteErr
	}
	return err
}

// enrolled stores the key that the server gave.
func (k *Keeper) enrolled(ctx context.Context, next enrollment.SiteStore) Result {
	known := "new machine"
	if next.Known {
		known = "known machine, its former key is void"
	}
	set := k.Settings
	k.Log.Info("enrolled at "+set.ServerURL.Host+": "+known, ports.EventEnrollEnrolled.Attr(), slog.Bool("new", !next.Known), slog.String("site", set.SiteCode))
	id := k.Identity.Identity()
	cred := ports.Credential{
		Key: next.Key, ServerURL: set.Server(), SiteCode: set.SiteCode,
		MachineUID: id.MachineUID, StoredAt: k.Wall(), Identity: id,
	}
	if err := k.Store(ctx, cred); err != nil {
		k.Log.Error(err.Error(), ports.EventEnrollRetry.Attr())
		return Unsaved{cred, err}
	}
	return Stored{}
}

// Store makes a new key durable and the one in use. It is not interrupted by
// ctx's end: the server shows a key once.
func (k *Keeper) Store(ctx context.Context, cred ports.Credential) error {
	ctx = context.WithoutCancel(ctx)
	err := k.Credentials.Save(ctx, cred)
	if err != nil {
		err = fmt.Errorf("the new key is in use but could not be stored: %w", err)
	} else {
		k.Log.Info("the key is stored", ports.EventCredentialStored.Attr(), slog.String("fingerprint", cred.Key.Fingerprint()), slog.String("protection", k.Credentials.Protection()))
		// A new key starts from nothing at the relay too, whose entry is bound
		// to the key; so one note closes the enrollment.
		if noteErr := k.Attempts.Succeeded(ctx, ports.ActivitySite); noteErr != nil {
			k.Log.Warn(noteErr.Error(), ports.EventEnrollRetry.Attr())
		}
	}
	stored := err == nil
	k.Tracker.Update(func(st *ports.Status) {
		st.Credential = ports.CredentialStatus{
			Present: true, Source: ports.CredentialEnrolled, Protection: k.Credentials.Protection(),
			Fingerprint: cred.Key.Fingerprint(),
		}
		if stored {
			st.Credential.StoredAt = cred.StoredAt
			st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: k.Wall()}
		} else {
			st.Site = ports.SiteStatus{State: ports.SiteStateRetrying, LastError: err.Error(), Since: k.Wall()}
		}
	})
	k.use(cred.Key)
	if stored {
		k.ForgetKey(ctx)
	}
	return err
}

// failed notes a failure, shows it and says how long to wait.
func (k *Keeper) failed(ctx context.Context, next enrollment.SiteFail, retryAfter time.Duration, patience ports.DelayClass) Failed {
	class := next.Class
	if patience == ports.Operator {
		class = ports.Operator
	}
	pause, err := k.Attempts.Failed(ctx, ports.ActivitySite, k.target(), retry.Failure{
		Class: class, State: string(next.State), Text: next.Advice, RetryAfter: retryAfter,
	})
	attempts.LogUnsaved(k.Log, ports.EventEnrollRetry, err)
	now := k.Wall()
	k.Tracker.Update(func(st *ports.Status) {
		if st.Site.State != next.State || st.Site.Since.IsZero() {
			st.Site.Since = now
		}
		st.Site.State, st.Site.LastError, st.Site.NextAttempt = next.State, next.Advice, now.Add(pause.Wait)
	})
	k.Log.Warn(next.Advice, attempts.LogAttrs(next.Event, pause)...)
	return Failed{next.Advice, pause}
}

// Run keeps a key in use for as long as ctx lasts: it settles which one, and
// enrolls whenever that is wanted. relay says that a key is needed.
func (k *Keeper) Run(ctx context.Context, relay bool) {
	if err := k.settle(ctx, relay); err != nil {
		return // told to stop
	}
	waitLeft := true // what an earlier attempt was asked to wait may not be over
	for {
		wanted, err := k.Wanted.Await(ctx, func(u Urgency) bool { return u != NotWanted })
		if err != nil {
			return
		}
		if k.Enroller == nil {
			if k.waitWithoutKey(ctx) != nil {
				return
			}
			continue
		}
		if waitLeft {
			waitLeft = false
			if wait.Sleep(ctx, k.Wall, k.HeldBack(ctx, retry.Start), nil) != nil {
				return
			}
		}
		patience := ports.Transient
		if wanted == Occasionally {
			patience = ports.Operator
		}
		var pause retry.Pause
		switch result := k.Attempt(ctx, patience).(type) {
		case Stored:
			k.Wanted.Withdraw()
			continue
		case Unsaved:
			if !k.storeLater(ctx, result.Credential) {
				return // told to stop
			}
			k.Wanted.Withdraw()
			continue
		case Failed:
			pause = result.Pause
		case Stopped:
			return
		}
		before, changed := k.Wanted.Get()
		if wait.Sleep(ctx, k.Wall, pause.Wait, changed) != nil {
			return
		}
		now, _ := k.Wanted.Get()
		waitLeft = now != before // the wait was cut short
		if now == NotWanted {
			k.Tracker.Update(func(st *ports.Status) { st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: k.Wall()} })
		}
	}
}

// storeLater tries to store a key that is in use already, until it is stored or
// the agent stops.
func (k *Keeper) storeLater(ctx context.Context, cred ports.Credential) bool {
	for attempt := 1; ; attempt++ {
		if wait.Sleep(ctx, k.Wall, k.Attempts.Local(attempt).Wait, nil) != nil {
			return false
		}
		if k.Store(ctx, cred) == nil {
			return true
		}
	}
}

// waitWithoutKey says what is needed while an enrollment is wanted that cannot
// be made. It returns ctx's error.
func (k *Keeper) waitWithoutKey(ctx context.Context) error {
	advice := "a new key is needed and cannot be asked for: " + enrollment.MissingForSite(k.Settings)
	k.Tracker.SetBlocked("site", advice)
	defer k.Tracker.SetBlocked("site", "")
	k.Log.Error(advice, ports.EventNotConfigured.Attr())
	_, changed := k.Wanted.Get()
	return wait.For(ctx, changed)
}
