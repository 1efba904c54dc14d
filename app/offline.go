package app

import (
	"context"
	"errors"

	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/ports"
)

// Disk is what tells how a machine stands while no agent runs. Its stores are
// only read.
type Disk struct {
	Settings    ports.Settings
	Version     string
	Hostname    string
	Identities  ports.IdentityStore
	Credentials ports.CredentialStore
	Retries     ports.RetryStore
}

// StatusFromDisk is how a machine stands while no agent runs: its state is
// "stopped", and the rest is what was left behind. What cannot be read is
// unknown, and Blocked says what to do about it.
func StatusFromDisk(ctx context.Context, d Disk) ports.Status {
	st := notConfigured(d.Version, d.Hostname)
	st.State = ports.StateStopped
	var problems []error
	id, err := d.Identities.LoadIdentity(ctx)
	switch {
	case err == nil:
		st.MachineUID, st.MachineUIDSource, st.AgentID = id.MachineUID, id.Source, id.AgentID
	case !absent(err):
		problems = append(problems, err)
	}

	retries, err := d.Retries.LoadRetries(ctx)
	if err != nil && !absent(err) {
		problems = append(problems, err)
	}
	if site := retries.Activities[ports.ActivitySite]; site.State != "" {
		st.Site = ports.SiteStatus{State: ports.SiteState(site.State), Since: site.Since, NextAttempt: site.Next, LastError: site.LastError}
	} else if d.Settings.SiteConfigured() {
		st.Site.State = ports.SiteStateRetrying
	}
	if d.Settings.ServerURL != nil || d.Settings.RelayURL != nil {
		st.Relay.State = ports.RelayStateConnecting
	}
	if relay := retries.Activities[ports.ActivityRelay]; !relay.Refusal.Since.IsZero() {
		st.Relay = ports.RelayStatus{State: ports.RelayStateRefused, Since: relay.Refusal.Since, LastError: relay.LastError}
	} else if relay.LastError != "" {
		st.Relay.LastError = relay.LastError
	}

	cred, err := d.Credentials.Load(ctx)
	switch {
	case err == nil:
		st.Credential = ports.CredentialStatus{
			Present: true, Source: ports.CredentialStored, StoredAt: cred.StoredAt,
			Protection: d.Credentials.Protection(), Fingerprint: cred.Key.Fingerprint(),
		}
		uid := st.MachineUID
		if uid == "" { // a lost record is rebuilt from the credential's
			uid = cred.MachineUID
			st.MachineUID, st.MachineUIDSource, st.AgentID = cred.MachineUID, cred.Identity.Source, cred.Identity.AgentID
		}
		if credential.Classify(cred, serverURL(d.Settings), d.Settings.SiteCode, uid) == credential.Ours {
			st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: cred.StoredAt}
			if st.Relay.State == ports.RelayStateNotConfigured && cred.ServerURL != "" {
				st.Relay.State = ports.RelayStateConnecting
			}
		}
	case !absent(err):
		problems = append(problems, err)
	case !d.Settings.APIKey.Empty() && !d.Settings.SiteConfigured():
		st.Credential = ports.CredentialStatus{Present: true, Source: ports.CredentialLegacy, Fingerprint: d.Settings.APIKey.Fingerprint()}
	}
	if err := errors.Join(problems...); err != nil {
		st.Blocked = err.Error()
	}
	return st
}

// absent reports that a store has nothing that could be used.
func absent(err error) bool {
	return errors.Is(err, ports.ErrNotStored) || errors.Is(err, ports.ErrDamaged)
}
