package app

import (
	"context"
	"errors"
	"time"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/domain/enrollment"
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

	Certificates ports.CertificateFiles
	Journal      ports.ManagerJournal
	Now          time.Time
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
	if site := retries.Activities[ports.ActivitySite]; site.State != "" && site.Target == siteTarget(d.Settings) {
		st.Site = ports.SiteStatus{State: ports.SiteState(site.State), Since: site.Since, NextAttempt: site.Next, LastError: site.LastError}
	} else if d.Settings.SiteConfigured() {
		st.Site.State = ports.SiteStateRetrying
	}
	if d.Settings.ServerURL != nil || d.Settings.RelayURL != nil {
		st.Relay.State = ports.RelayStateConnecting
	}
	cred, err := d.Credentials.Load(ctx)
	switch {
	case err == nil:
		st.Credential = ports.CredentialStatus{
			Present: true, Source: ports.CredentialStored, StoredAt: cred.StoredAt,
			Protection: d.Credentials.Protection(), Fingerprint: cred.Key.Fingerprint(),
		}
		if relay := retries.Activities[ports.ActivityRelay]; relay.Target == relayTarget(d.Settings, cred.Key) {
			st.Relay.LastError = relay.LastError
			if !relay.Refusal.Since.IsZero() {
				st.Relay.State, st.Relay.Since = ports.RelayStateRefused, relay.Refusal.Since
			}
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
	problems = append(problems, d.certificate(ctx, &st, retries))
	if err := errors.Join(problems...); err != nil {
		st.Blocked = err.Error()
	}
	return st
}

// certificate reads how the certificate and its manager stand.
func (d Disk) certificate(ctx context.Context, st *ports.Status, retries ports.RetryRecord) error {
	found, err := d.Certificates.Read(ctx)
	if err != nil {
		return err
	}
	managed := d.Settings.ManagerURL != nil
	j := cert.Judge(judged(found), d.Now, cert.Options{Threshold: d.Settings.RenewalThreshold})
	st.Certificate = report(j, !managed && nothingThere(found))
	if !managed {
		return nil
	}
	pending, err := d.Journal.LoadPending(ctx)
	st.Manager = ports.ManagerStatus{State: ports.ManagerStateRetrying, Polls: pending.Polls, Since: pending.RegisteredAt}
	met := func(activity ports.Activity) ports.RetryEntry {
		if e := retries.Activities[activity]; e.Target == managerTarget(d.Settings) {
			return e
		}
		return ports.RetryEntry{}
	}
	last := enrollment.LastFailure(pending, met(ports.ActivityRegister), met(ports.ActivityPoll))
	switch {
	case j.Status == ports.CertValid:
		st.Manager = ports.ManagerStatus{State: ports.ManagerStateApproved}
	case last.State != "":
		st.Manager.State, st.Manager.Since, st.Manager.NextAttempt, st.Manager.LastError = ports.ManagerState(last.State), last.Since, last.Next, last.LastError
	case !pending.Token.Empty():
		st.Manager.State = ports.ManagerStatePending
	}
	if absent(err) {
		return nil
	}
	return err
}

// CertificatePlaced reports whether all files of a certificate are there,
// sound or not: one that has expired, or that a slow clock takes for one of the
// future, is there to serve again once a person or time has healed it.
func CertificatePlaced(ctx context.Context, files ports.CertificateFiles) bool {
	found, err := files.Read(ctx)
	return err == nil && !found.CA.Missing() && !found.Server.Missing() && !found.Key.Missing()
}

// absent reports that a store has nothing that could be used.
func absent(err error) bool {
	return errors.Is(err, ports.ErrNotStored) || errors.Is(err, ports.ErrDamaged)
}
