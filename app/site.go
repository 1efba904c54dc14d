package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/ports"
)

// siteEnrollment gets this machine an API key from its site's server.
type siteEnrollment struct {
	w     *World
	who   *identityKeeper
	book  *retryBook
	board *board
	clock *clock
	keys  *keyring

	forgotten bool // see forget
}

// attempted is how one attempt ended.
type attempted struct {
	// stored: there is a new key, durably stored and in use.
	stored bool
	// unsaved: there is a new key, in use and not stored; saveLater stores it.
	unsaved *ports.Credential

	next    enrollment.SiteNext // how it failed otherwise
	wait    time.Duration       // until the next attempt
	attempt int                 // how many in a row of its class this was
}

// serverURL is the server in the form in which it is recorded.
func serverURL(s ports.Settings) string {
	if s.ServerURL == nil {
		return ""
	}
	return s.ServerURL.String()
}

// target is a digest of what is asked, so that a changed configuration starts
// from nothing.
func (s *siteEnrollment) target() string { return siteTarget(s.w.Settings) }

func siteTarget(set ports.Settings) string {
	return digest(credential.CanonicalURL(serverURL(set)), set.SiteCode, set.EnrollmentKey.Reveal())
}

// digest is 16 hex digits that stand for the parts.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// holdBack is how long the first attempt of this process must wait because of
// earlier ones.
func (s *siteEnrollment) holdBack(ctx context.Context, person bool) time.Duration {
	entry, err := s.book.entry(ctx, ports.ActivitySite, s.target())
	if err != nil {
		s.w.Log.Warn(err.Error(), event(eventEnrollRetry))
	}
	pause := backoff.Resume(s.w.Settings.Delays, entry, true, person, s.w.Wall())
	if entry.State != "" { // what an earlier process met still stands
		s.board.update(func(st *ports.Status) {
			st.Site = ports.SiteStatus{State: ports.SiteState(entry.State), Since: entry.Since, LastError: entry.LastError, NextAttempt: s.w.Wall().Add(pause)}
		})
	}
	if pause > 0 {
		logHeldBack(s.w.Log, eventEnrollRetry, s.w.Settings.ServerURL.Host, pause, entry)
	}
	return pause
}

// attempt asks once for a key and stores it. Nothing is sent unless the
// identity and a note of the attempt are on disk and there is room for the
// key. patience is the least patient class that a failure may have.
func (s *siteEnrollment) attempt(ctx context.Context, patience ports.DelayClass) attempted {
	s.board.update(func(st *ports.Status) { st.Site.NextAttempt = time.Time{} })
	if err := s.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return attempted{}
		}
		return s.failed(ctx, enrollment.SiteNext{
			Class: ports.Transient, State: ports.SiteStateRetrying, Event: eventEnrollRetry,
			Advice: fmt.Sprintf("nothing was sent, because a key could not be stored now: %v", err),
		}, 0, patience)
	}

	set := s.w.Settings
	s.w.Log.Info("asking "+set.ServerURL.Host+" for a key", event(eventEnrollAttempt), slog.String("site", set.SiteCode))
	asking, cancel := outlasting(ctx)
	answer := s.w.Site.Enroll(asking, ports.SiteRequest{
		SiteCode:      set.SiteCode,
		EnrollmentKey: set.EnrollmentKey,
		MachineUID:    s.who.identity().MachineUID,
		Hostname:      s.w.Hostname,
		Labels:        set.Labels,
	})
	cancel()
	s.clock.observe(answer.ServerTime)
	next := enrollment.AfterSite(answer.Outcome, set.ServerURL.Host, set.SiteCode)
	if next.Key.Empty() {
		if ctx.Err() != nil {
			return attempted{next: next}
		}
		return s.failed(ctx, next, s.book.asked(answer.RetryAfter, answer.ServerTime), patience)
	}

	known := "new machine"
	if !next.New {
		known = "known machine, its former key is void"
	}
	s.w.Log.Info("enrolled at "+set.ServerURL.Host+": "+known, event(next.Event), slog.Bool("new", next.New), slog.String("site", set.SiteCode))
	cred := ports.Credential{
		Key: next.Key, ServerURL: serverURL(set), SiteCode: set.SiteCode,
		MachineUID: s.who.identity().MachineUID, StoredAt: s.w.Wall(), Identity: s.who.identity(),
	}
	if err := s.store(ctx, cred); err != nil {
		s.w.Log.Error(err.Error(), event(eventEnrollRetry))
		return attempted{unsaved: &cred, next: enrollment.SiteNext{Class: ports.Transient, State: ports.SiteStateRetrying, Event: eventEnrollRetry, Advice: err.Error()}}
	}
	return attempted{stored: true}
}

// prepare makes sure that a crash after the request loses nothing.
func (s *siteEnrollment) prepare(ctx context.Context) error {
	err := s.who.save(ctx)
	if err == nil {
		err = s.w.Credentials.Reserve(ctx)
	}
	// Last, because the request follows at once; and in any case, because an
	// attempt that could not be made counts for the wait, too.
	if noteErr := s.book.begin(ctx, ports.ActivitySite, s.target()); err == nil {
		err = noteErr
	}
	return err
}

// store makes a new key durable and the one in use. It is not interrupted by
// ctx's end: the server shows a key once.
func (s *siteEnrollment) store(ctx context.Context, cred ports.Credential) error {
	ctx = context.WithoutCancel(ctx)
	err := s.w.Credentials.Save(ctx, cred)
	if err != nil {
		err = fmt.Errorf("the new key is in use but could not be stored: %w", err)
	} else {
		s.w.Log.Info("the key is stored", event(eventCredentialStored), slog.String("fingerprint", cred.Key.Fingerprint()), slog.String("protection", s.w.Credentials.Protection()))
		// A new key starts from nothing at the relay too, whose entry is bound
		// to the key; so one note closes the enrollment.
		if noteErr := s.book.succeeded(ctx, ports.ActivitySite); noteErr != nil {
			s.w.Log.Warn(noteErr.Error(), event(eventEnrollRetry))
		}
	}
	stored := err == nil
	s.board.update(func(st *ports.Status) {
		st.Credential = ports.CredentialStatus{
			Present: true, Source: ports.CredentialEnrolled, Protection: s.w.Credentials.Protection(),
			Fingerprint: cred.Key.Fingerprint(),
		}
		if stored {
			st.Credential.StoredAt = cred.StoredAt
			st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: s.w.Wall()}
		} else {
			st.Site = ports.SiteStatus{State: ports.SiteStateRetrying, LastError: err.Error(), Since: s.w.Wall()}
		}
	})
	s.keys.use(cred.Key)
	if stored {
		s.forget(ctx)
	}
	return err
}

// failed notes a failure, shows it and says how long to wait.
func (s *siteEnrollment) failed(ctx context.Context, next enrollment.SiteNext, retryAfter time.Duration, patience ports.DelayClass) attempted {
	class := next.Class
	if patience == ports.Operator {
		class = ports.Operator
	}
	wait, attempt, err := s.book.failed(ctx, ports.ActivitySite, s.target(), failure{
		class: class, state: string(next.State), text: next.Advice, retryAfter: retryAfter,
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.w.Log.Debug(err.Error(), event(eventEnrollRetry))
	}
	now := s.w.Wall()
	s.board.update(func(st *ports.Status) {
		if st.Site.State != next.State || st.Site.Since.IsZero() {
			st.Site.Since = now
		}
		st.Site.State, st.Site.LastError, st.Site.NextAttempt = next.State, next.Advice, now.Add(wait)
	})
	s.w.Log.Warn(next.Advice, event(next.Event), slog.Duration("wait", wait), slog.String("class", string(class)), slog.Int("attempt", attempt))
	return attempted{next: next, wait: wait, attempt: attempt}
}

// keepEnrolled serves the desk for as long as the agent runs.
func (a *Agent) keepEnrolled(ctx context.Context) {
	if err := a.settleCredential(ctx); err != nil {
		return // told to stop
	}
	heldBack := true // by what an earlier process did
	for {
		wanted, err := a.desk.await(ctx)
		if err != nil {
			return
		}
		if a.w.Site == nil {
			if !a.waitForKeyless(ctx) {
				return
			}
			continue
		}
		if heldBack {
			heldBack = false
			if wait(ctx, a.w.Wall, a.site.holdBack(ctx, false), nil) != nil {
				return
			}
		}
		patience := ports.Transient
		if wanted == onceInAWhile {
			patience = ports.Operator
		}
		done := a.site.attempt(ctx, patience)
		if done.unsaved != nil {
			done.stored = a.saveLater(ctx, *done.unsaved)
		}
		if done.stored {
			a.desk.withdraw()
			continue
		}
		standing, changed := a.desk.standing()
		if wait(ctx, a.w.Wall, done.wait, changed) != nil {
			return
		}
		was := standing
		standing, _ = a.desk.standing()
		heldBack = standing != was // the wait was cut short
		if standing == noDemand {
			a.board.update(func(st *ports.Status) { st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: a.w.Wall()} })
		}
	}
}

// saveLater tries to store a key that is in use already until it is stored or
// the agent stops.
func (a *Agent) saveLater(ctx context.Context, cred ports.Credential) bool {
	for attempt := 1; ; attempt++ {
		if wait(ctx, a.w.Wall, a.transientWait(attempt), nil) != nil {
			return false
		}
		if a.site.store(ctx, cred) == nil {
			return true
		}
	}
}

// waitForKeyless says what is needed while an enrollment is asked for that
// cannot be made; false means that ctx is done.
func (a *Agent) waitForKeyless(ctx context.Context) bool {
	advice := "a new key is needed and cannot be asked for: " + needs(a.w.Settings)
	a.board.block("site", advice)
	a.w.Log.Error(advice, event(eventNotConfigured))
	defer a.board.block("site", "")
	_, changed := a.desk.standing()
	defer resting(ctx)()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return true
	}
}
