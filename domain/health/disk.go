package health

import (
	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Left is what an agent left on disk. What is nil or zero was not there, or
// could not be read.
type Left struct {
	Identity   *ports.Identity
	Credential *ports.Credential
	// CredentialUnreadable: there is one that could not be read. The shared key
	// does not take its place.
	CredentialUnreadable bool
	Protection           string // of the credential
	Retries              ports.RetryRecord
	Pending              ports.PendingIssue
}

// Stopped is how a machine stands while no agent runs: its state is "stopped",
// and the rest is what was left behind, but for the certificate's part.
func Stopped(left Left, s ports.Settings, version, hostname string) ports.Status {
	st := notConfigured(version, hostname)
	st.State = ports.StateStopped
	if id := left.Identity; id != nil {
		st.MachineUID, st.MachineUIDSource, st.AgentID = id.MachineUID, id.Source, id.AgentID
	}
	if site := left.Retries.Of(ports.ActivitySite, retry.SiteTarget(s)); site.State != "" {
		st.Site = ports.SiteStatus{State: ports.SiteState(site.State), Since: site.Since, NextAttempt: site.Next, LastError: site.LastError}
	} else if s.SiteConfigured() {
		st.Site.State = ports.SiteStateRetrying
	}
	if s.ServerURL != nil || s.RelayURL != nil {
		st.Relay.State = ports.RelayStateConnecting
	}
	switch cred := left.Credential; {
	case cred != nil:
		stored(&st, left, s)
	case !left.CredentialUnreadable && !s.APIKey.Empty() && !s.SiteConfigured():
		st.Credential = ports.CredentialStatus{Present: true, Source: ports.CredentialLegacy, Fingerprint: s.APIKey.Fingerprint()}
	}
	return st
}

// stored is what a stored credential adds to a status.
func stored(st *ports.Status, left Left, s ports.Settings) {
	cred := *left.Credential
	st.Credential = ports.CredentialStatus{
		Present: true, Source: ports.CredentialStored, StoredAt: cred.StoredAt,
		Protection: left.Protection, Fingerprint: cred.Key.Fingerprint(),
	}
	relay := left.Retries.Of(ports.ActivityRelay, retry.RelayTarget(s, cred.Key))
	st.Relay.LastError = relay.LastError
	if !relay.Refusal.Since.IsZero() {
		st.Relay.State, st.Relay.Since = ports.RelayStateRefused, relay.Refusal.Since
	}
	if st.MachineUID == "" { // a lost record is rebuilt from the credential's
		st.MachineUID, st.MachineUIDSource, st.AgentID = cred.MachineUID, cred.Identity.Source, cred.Identity.AgentID
	}
	if credential.Classify(cred, s.Server(), s.SiteCode, st.MachineUID) != credential.Ours {
		return
	}
	st.Site = ports.SiteStatus{State: ports.SiteStateEnrolled, Since: cred.StoredAt}
	if st.Relay.State == ports.RelayStateNotConfigured && cred.ServerURL != "" {
		st.Relay.State = ports.RelayStateConnecting
	}
}

// StoppedIssuer is how the request for a certificate stands while no agent
// runs, with an issuer configured.
func StoppedIssuer(left Left, s ports.Settings, certificate ports.CertificateStatus) ports.IssuerStatus {
	target := retry.IssuerTarget(s)
	last := enrollment.LastFailure(left.Pending, left.Retries.Of(ports.ActivityRegister, target), left.Retries.Of(ports.ActivityPoll, target))
	st := ports.IssuerStatus{State: ports.IssuerStateRetrying, Polls: left.Pending.Polls, Since: left.Pending.SubmittedAt}
	switch {
	case certificate == ports.CertValid:
		return ports.IssuerStatus{State: ports.IssuerStateApproved}
	case last.State != "":
		st.State, st.Since, st.NextAttempt, st.LastError = ports.IssuerState(last.State), last.Since, last.Next, last.LastError
	case left.Pending.Phase == ports.PhasePending:
		st.State = ports.IssuerStatePending
	}
	return st
}
