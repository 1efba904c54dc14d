package health

import (
	"net/url"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

func TestStopped(t *testing.T) {
	server, issuer := &url.URL{Scheme: "https", Host: "a.example"}, &url.URL{Scheme: "https", Host: "m.example"}
	enrolling := ports.Settings{ServerURL: server, SiteCode: "HQ", EnrollmentKey: ports.NewSecret("cek_x"), ManagerURL: issuer}
	id := ports.Identity{MachineUID: "muid_1", AgentID: "agent", Source: ports.SourceRandom}
	cred := ports.Credential{Key: ports.NewSecret("cak_x"), ServerURL: server.String(), SiteCode: "HQ", MachineUID: "muid_1", StoredAt: now, Identity: id}
	retries := func(activity ports.Activity, target string, e ports.RetryEntry) ports.RetryRecord {
		e.Target = target
		return ports.RetryRecord{Activities: map[ports.Activity]ports.RetryEntry{activity: e}}
	}
	for name, tt := range map[string]struct {
		left     Left
		settings ports.Settings
		site     ports.SiteState
		relay    ports.RelayState
		key      ports.CredentialSource
		uid      string
	}{
		"nothing":             {Left{}, ports.Settings{}, ports.SiteStateNotConfigured, ports.RelayStateNotConfigured, "", ""},
		"not enrolled yet":    {Left{Identity: &id}, enrolling, ports.SiteStateRetrying, ports.RelayStateConnecting, "", "muid_1"},
		"enrolled":            {Left{Identity: &id, Credential: &cred}, enrolling, ports.SiteStateEnrolled, ports.RelayStateConnecting, ports.CredentialStored, "muid_1"},
		"a lost identity":     {Left{Credential: &cred}, enrolling, ports.SiteStateEnrolled, ports.RelayStateConnecting, ports.CredentialStored, "muid_1"},
		"the key is enough":   {Left{Credential: &cred}, ports.Settings{}, ports.SiteStateEnrolled, ports.RelayStateConnecting, ports.CredentialStored, "muid_1"},
		"another machine's":   {Left{Identity: &ports.Identity{MachineUID: "muid_2"}, Credential: &cred}, enrolling, ports.SiteStateRetrying, ports.RelayStateConnecting, ports.CredentialStored, "muid_2"},
		"a refused key":       {Left{Credential: &cred, Retries: retries(ports.ActivityRelay, retry.RelayTarget(enrolling, cred.Key), ports.RetryEntry{Refusal: ports.Refusal{Since: now}})}, enrolling, ports.SiteStateEnrolled, ports.RelayStateRefused, ports.CredentialStored, "muid_1"},
		"a refusal":           {Left{Retries: retries(ports.ActivitySite, retry.SiteTarget(enrolling), ports.RetryEntry{State: "rejected"})}, enrolling, ports.SiteStateRejected, ports.RelayStateConnecting, "", ""},
		"a refusal elsewhere": {Left{Retries: retries(ports.ActivitySite, "another", ports.RetryEntry{State: "rejected"})}, enrolling, ports.SiteStateRetrying, ports.RelayStateConnecting, "", ""},
		"the shared key":      {Left{}, ports.Settings{ServerURL: server, APIKey: ports.NewSecret("shared")}, ports.SiteStateNotConfigured, ports.RelayStateConnecting, ports.CredentialLegacy, ""},
		"an unreadable key":   {Left{CredentialUnreadable: true}, ports.Settings{ServerURL: server, APIKey: ports.NewSecret("shared")}, ports.SiteStateNotConfigured, ports.RelayStateConnecting, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			st := Stopped(tt.left, tt.settings, "1", "host")
			is.Equal(st.State, ports.StateStopped)
			is.Equal(st.Site.State, tt.site)
			is.Equal(st.Relay.State, tt.relay)
			is.Equal(st.Credential.Source, tt.key)
			is.Equal(st.MachineUID, tt.uid)
		})
	}

	pending := ports.PendingIssue{Phase: ports.PhasePending, SubmittedAt: now, Polls: 3}
	polled := func(at time.Time) ports.RetryRecord {
		return retries(ports.ActivityPoll, retry.IssuerTarget(enrolling), ports.RetryEntry{State: "unexpected", LastAttempt: at})
	}
	for name, tt := range map[string]struct {
		left        Left
		certificate ports.CertificateStatus
		want        ports.IssuerState
	}{
		"a valid certificate":       {Left{Pending: pending}, ports.CertValid, ports.IssuerStateApproved},
		"nothing asked yet":         {Left{}, ports.CertMissing, ports.IssuerStateRetrying},
		"a decision is awaited":     {Left{Pending: pending}, ports.CertMissing, ports.IssuerStatePending},
		"a failure since":           {Left{Pending: pending, Retries: polled(now.Add(time.Minute))}, ports.CertMissing, ports.IssuerStateUnexpected},
		"a failure of a former one": {Left{Pending: pending, Retries: polled(now.Add(-time.Minute))}, ports.CertMissing, ports.IssuerStatePending},
	} {
		t.Run("issuer: "+name, func(t *testing.T) {
			is.New(t).Equal(StoppedIssuer(tt.left, enrolling, tt.certificate).State, tt.want)
		})
	}
}

func TestStarting(t *testing.T) {
	is := is.New(t)
	st := Starting("1", "host", false, false, false, now)
	is.Equal(st, notConfigured("1", "host"))
	st = Starting("1", "host", true, true, true, now)
	is.Equal(st.Site, ports.SiteStatus{State: ports.SiteStateRetrying, Since: now})
	is.Equal(st.Issuer, ports.IssuerStatus{State: ports.IssuerStateRetrying, Since: now})
	is.Equal(st.Relay, ports.RelayStatus{State: ports.RelayStateConnecting, Since: now})
	is.Equal(st.Certificate.Status, ports.CertMissing)
}

func TestCertificate(t *testing.T) {
	is := is.New(t)
	missing := cert.Judgement{Status: ports.CertMissing, Detail: "put it there"}
	is.Equal(Certificate(missing, false, false).Status, ports.CertNotConfigured) // nobody misses it
	is.Equal(Certificate(missing, false, true).Status, ports.CertMissing)
	is.Equal(Certificate(missing, true, false).Detail, "put it there")
	is.Equal(Certificate(cert.Judgement{Status: ports.CertValid, Detail: "until then"}, true, true).Detail, "") // there is nothing to add
}
