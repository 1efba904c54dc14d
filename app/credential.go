package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/ports"
)

// find loads the stored credential and says what it is to this machine.
func (s *siteEnrollment) find(ctx context.Context) (credential.Found, ports.Credential, error) {
	found := credential.Found{Site: s.w.Site != nil, Legacy: !s.w.Settings.APIKey.Empty()}
	cred, err := s.w.Credentials.Load(ctx)
	switch {
	case err == nil:
		found.Stored = credential.Classify(cred, serverURL(s.w.Settings), s.w.Settings.SiteCode, s.who.identity().MachineUID)
	case errors.Is(err, ports.ErrNotStored), errors.Is(err, ports.ErrDamaged): // the store has said so
		found.Stored = credential.None
	case errors.Is(err, ports.ErrNewerFormat):
		found.Stored = credential.NewerVersion
	default:
		found.Stored = credential.Unreadable
	}
	return found, cred, err
}

// useStored makes a stored credential the key in use.
func (s *siteEnrollment) useStored(ctx context.Context, cred ports.Credential) {
	s.w.Log.Info("a stored key is in use", event(eventCredentialLoaded), slog.String("fingerprint", cred.Key.Fingerprint()), slog.String("site", cred.SiteCode))
	s.board.update(func(st *ports.Status) {
		st.Credential = ports.CredentialStatus{
			Present: true, Source: ports.CredentialStored, StoredAt: cred.StoredAt,
			Protection: s.w.Credentials.Protection(), Fingerprint: cred.Key.Fingerprint(),
		}
		st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: cred.StoredAt}
	})
	s.keys.use(cred.Key)
	s.forget(ctx) // a crash may have come between the enrollment and this
}

// settleCredential decides which key is used, waiting for as long as only a
// person can make that possible. It returns ctx's error.
func (a *Agent) settleCredential(ctx context.Context) error {
	defer a.board.block("credential", "")
	for attempt := 1; ; attempt++ {
		found, cred, err := a.site.find(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch credential.Decide(found) {
		case credential.UseStored:
			a.site.useStored(ctx, cred)
			return nil
		case credential.Enroll, credential.EnrollKeepingOld:
			a.desk.ask(ordered)
			return nil
		case credential.UseLegacy:
			a.useLegacy()
			return nil
		case credential.NotConfigured:
			if a.w.Relay != nil {
				advice := "there is no key for the relay, and none can be asked for: " + needs(a.w.Settings)
				a.board.block("site", advice)
				a.w.Log.Error(advice, event(eventNotConfigured))
			}
			return nil
		case credential.NeedKey:
			a.board.update(func(st *ports.Status) { st.Site.State = ports.SiteStateNotConfigured })
			a.desk.ask(ordered)
			return nil
		case credential.BlockedUnreadable, credential.BlockedNewer:
			if a.blocked(ctx, "credential", err, attempt) != nil {
				return ctx.Err()
			}
		}
	}
}

// useLegacy connects with the deprecated shared key.
func (a *Agent) useLegacy() {
	key := a.w.Settings.APIKey
	a.w.Log.Warn("MUSTER_API_KEY is deprecated: one key for many machines can be neither told apart nor revoked; configure site enrollment (MUSTER_SITE_CODE, MUSTER_ENROLLMENT_KEY)", event(eventLegacyAPIKey))
	a.board.update(func(st *ports.Status) {
		st.Credential = ports.CredentialStatus{Present: true, Source: ports.CredentialLegacy, Fingerprint: key.Fingerprint()}
	})
	a.keys.use(key)
}

// blocked shows what a person must do about part of the state directory, and
// waits before it is looked at again: the look costs nobody anything, so it is
// of class transient. It returns ctx's error.
func (a *Agent) blocked(ctx context.Context, part string, err error, attempt int) error {
	delay := a.transientWait(attempt)
	a.board.block(part, err.Error())
	a.w.Log.Error(err.Error(), event(eventStoreBlocked), slog.Duration("wait", delay), slog.String("class", string(ports.Transient)), slog.Int("attempt", attempt))
	return wait(ctx, a.w.Wall, delay, nil)
}
