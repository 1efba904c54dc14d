package site

import (
	"context"
	"errors"
	"log/slog"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/ports"
)

// Find loads the stored credential and says what it is to this machine.
func (k *Keeper) Find(ctx context.Context) (credential.Found, ports.Credential, error) {
	found := credential.Found{Site: k.Enroller != nil, Legacy: !k.Settings.APIKey.Empty()}
	cred, err := k.Credentials.Load(ctx)
	switch {
	case err == nil:
		found.Stored = credential.Classify(cred, k.Settings.Server(), k.Settings.SiteCode, k.Identity.Identity().MachineUID)
	case ports.Absent(err): // the store has said so
		found.Stored = credential.None
	case errors.Is(err, ports.ErrNewerFormat):
		found.Stored = credential.NewerVersion
	default:
		found.Stored = credential.Unreadable
	}
	return found, cred, err
}

// useStored makes a stored credential the key in use.
func (k *Keeper) useStored(ctx context.Context, cred ports.Credential) {
	k.Log.Info("a stored key is in use", ports.EventCredentialLoaded.Attr(), slog.String("fingerprint", cred.Key.Fingerprint()), slog.String("site", cred.SiteCode))
	k.Tracker.Update(func(st *ports.Status) {
		st.Credential = ports.CredentialStatus{
			Present: true, Source: ports.CredentialStored, StoredAt: cred.StoredAt,
			Protection: k.Credentials.Protection(), Fingerprint: cred.Key.Fingerprint(),
		}
		st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: cred.StoredAt}
	})
	k.use(cred.Key)
	k.ForgetKey(ctx) // a crash may have come between the enrollment and this
}

// settle decides which key is used, waiting for as long as only a person can
// make that possible. relay says that a key is needed. It returns ctx's error.
func (k *Keeper) settle(ctx context.Context, relay bool) error {
	defer k.Tracker.SetBlocked("credential", "")
	for attempt := 1; ; attempt++ {
		found, cred, err := k.Find(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch credential.Decide(found) {
		case credential.UseStored:
			k.useStored(ctx, cred)
			return nil
		case credential.Enroll, credential.EnrollKeepingOld:
			k.Wanted.Ask(Always)
			return nil
		case credential.UseLegacy:
			k.useLegacy()
			return nil
		case credential.NotConfigured:
			if relay {
				advice := "there is no key for the relay, and none can be asked for: " + enrollment.MissingForSite(k.Settings)
				k.Tracker.SetBlocked("site", advice)
				k.Log.Error(advice, ports.EventNotConfigured.Attr())
			}
			return nil
		case credential.NeedKey:
			k.Tracker.Update(func(st *ports.Status) { st.Site.State = ports.SiteStateNotConfigured })
			k.Wanted.Ask(Always)
			return nil
		case credential.BlockedUnreadable, credential.BlockedNewer:
			pause := k.Attempts.Local(attempt)
			k.Tracker.SetBlocked("credential", err.Error())
			k.Log.Error(err.Error(), attempts.LogAttrs(ports.EventStoreBlocked, pause)...)
			if wait.Sleep(ctx, k.Wall, pause.Wait, nil) != nil {
				return ctx.Err()
			}
		}
	}
}

// useLegacy connects with the deprecated shared key.
func (k *Keeper) useLegacy() {
	key := k.Settings.APIKey
	k.Log.Warn("MUSTER_API_KEY is deprecated: one key for many machines can be neither told apart nor revoked; configure site enrollment (MUSTER_SITE_CODE, MUSTER_ENROLLMENT_KEY)", ports.EventLegacyAPIKey.Attr())
	k.Tracker.Update(func(st *ports.Status) {
		st.Credential = ports.CredentialStatus{Present: true, Source: ports.CredentialLegacy, Fingerprint: key.Fingerprint()}
	})
	k.use(key)
}

// use makes key the one in use.
func (k *Keeper) use(key ports.Secret) {
	k.APIKey.Update(func(present ports.Secret) (ports.Secret, bool) { return key, !present.Equal(key) })
}
