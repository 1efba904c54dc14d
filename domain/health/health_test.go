package health

import (
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// status is one where nothing is configured, changed.
func status(change func(*ports.Status)) ports.Status {
	s := ports.Status{
		Site:        ports.SiteStatus{State: ports.SiteStateNotConfigured},
		Issuer:      ports.IssuerStatus{State: ports.IssuerStateNotConfigured},
		Certificate: ports.CertificateReport{Status: ports.CertNotConfigured},
		Relay:       ports.RelayStatus{State: ports.RelayStateNotConfigured},
	}
	change(&s)
	return s
}

func TestOverall(t *testing.T) {
	connected := func(s *ports.Status) {
		s.Site.State, s.Relay.State = ports.SiteStateEnrolled, ports.RelayStateConnected
	}
	serving := func(s *ports.Status) {
		s.Issuer.State, s.Certificate.Status = ports.IssuerStateApproved, ports.CertValid
	}
	for name, test := range map[string]struct {
		change func(*ports.Status)
		want   ports.OverallState
	}{
		"nothing configured": {func(*ports.Status) {}, ports.StateNotConfigured},
		"connected":          {connected, ports.StateConnected},
		"serving":            {serving, ports.StateServing},
		"both":               {func(s *ports.Status) { connected(s); serving(s) }, ports.StateConnected},
		"a person must act":  {func(s *ports.Status) { connected(s); s.Blocked = "chmod" }, ports.StateBlocked},
		"enrolling": {func(s *ports.Status) {
			s.Site.State, s.Relay.State = ports.SiteStateRetrying, ports.RelayStateConnecting
		}, ports.StateEnrolling},
		"collision": {func(s *ports.Status) {
			s.Site.State, s.Relay.State = ports.SiteStatePending, ports.RelayStateConnecting
		}, ports.StatePending},
		"rejected": {func(s *ports.Status) {
			s.Site.State, s.Relay.State = ports.SiteStateRejected, ports.RelayStateConnecting
		}, ports.StateBlocked},
		"conflict":   {func(s *ports.Status) { s.Site.State = ports.SiteStateConflict }, ports.StateBlocked},
		"unexpected": {func(s *ports.Status) { s.Site.State = ports.SiteStateUnexpected }, ports.StateBlocked},
		"relay down": {func(s *ports.Status) { connected(s); s.Relay.State = ports.RelayStateConnecting }, ports.StateConnecting},
		"refused lately": {func(s *ports.Status) {
			connected(s)
			s.Relay.State, s.Relay.Since = ports.RelayStateRefused, now.Add(-15*time.Minute)
		}, ports.StateConnecting},
		"refused for long": {func(s *ports.Status) {
			connected(s)
			s.Relay.State, s.Relay.Since = ports.RelayStateRefused, now.Add(-16*time.Minute)
		}, ports.StateBlocked},
		"manager pending": {func(s *ports.Status) {
			connected(s)
			s.Issuer.State, s.Certificate.Status = ports.IssuerStatePending, ports.CertMissing
		}, ports.StatePending},
		"manager denied": {func(s *ports.Status) {
			s.Issuer.State, s.Certificate.Status = ports.IssuerStateDenied, ports.CertMissing
		}, ports.StateBlocked},
		"certificate missing, no manager": {func(s *ports.Status) { s.Certificate.Status = ports.CertExpired }, ports.StateBlocked},
		"renewal refused, valid":          {func(s *ports.Status) { serving(s); s.Issuer.State = ports.IssuerStateConflict }, ports.StateServing},
		"renewal refused, time left": {func(s *ports.Status) {
			serving(s)
			s.Issuer.State, s.Certificate.Status, s.Certificate.NotAfter = ports.IssuerStateConflict, ports.CertExpiringSoon, now.AddDate(0, 0, 8)
		}, ports.StateServing},
		"renewal refused, near the end": {func(s *ports.Status) {
			serving(s)
			s.Issuer.State, s.Certificate.Status, s.Certificate.NotAfter = ports.IssuerStateConflict, ports.CertExpiringSoon, now.AddDate(0, 0, 6)
		}, ports.StateBlocked},
		"begins in 59 minutes": {func(s *ports.Status) {
			s.Certificate.Status, s.Certificate.NotBefore = ports.CertNotYetValid, now.Add(59*time.Minute)
		}, ports.StateConnecting},
		"begins in an hour, no manager": {func(s *ports.Status) {
			s.Certificate.Status, s.Certificate.NotBefore = ports.CertNotYetValid, now.Add(time.Hour)
		}, ports.StateBlocked},
		"renewal under way, valid": {func(s *ports.Status) { serving(s); s.Issuer.State = ports.IssuerStateRetrying }, ports.StateServing},
	} {
		t.Run(name, func(t *testing.T) {
			is.New(t).Equal(Overall(status(test.change), 7*24*time.Hour, now), test.want)
		})
	}
}

// Every value of every part must give a state that a caller knows.
func TestOverallKnowsEveryValue(t *testing.T) {
	for _, site := range []ports.SiteState{"enrolled", "pending", "rejected", "site_conflict", "unexpected", "retrying", "not_configured"} {
		for _, relay := range []ports.RelayState{"connected", "connecting", "refused", "not_configured"} {
			s := status(func(s *ports.Status) { s.Site.State, s.Relay.State = site, relay })
			s.State = Overall(s, 0, now)
			if s.State == "" || Sentence(s, now) == "" {
				t.Errorf("site %s, relay %s: state %q, %q", site, relay, s.State, Sentence(s, now))
			}
		}
	}
}

func TestSentence(t *testing.T) {
	relay := func(s *ports.Status, state ports.RelayState, since time.Time, text string) {
		s.Relay = ports.RelayStatus{State: state, Since: since, LastError: text}
	}
	for _, test := range []struct {
		state  ports.OverallState
		change func(*ports.Status)
		want   string
	}{
		{ports.StatePending, func(s *ports.Status) {
			s.Issuer = ports.IssuerStatus{State: ports.IssuerStatePending, Since: now.Add(-time.Hour), NextAttempt: now.Add(58*time.Second + 10*time.Millisecond)}
		}, "waiting for an operator's approval since 12:00, next check in 58 s"},
		{ports.StatePending, func(s *ports.Status) {
			s.Site = ports.SiteStatus{State: ports.SiteStatePending, Since: now.AddDate(0, 0, -1), NextAttempt: now.Add(9 * time.Minute)}
		}, "waiting for an operator's confirmation since 2026-02-28 13:00, next check at 13:09"},
		{ports.StatePending, func(s *ports.Status) { // asking at this moment
			s.Site = ports.SiteStatus{State: ports.SiteStatePending, Since: now, NextAttempt: now}
		}, "waiting for an operator's confirmation since 13:00"},
		{ports.StateBlocked, func(s *ports.Status) { s.Blocked = "chmod 600 it" }, "needs an operator: chmod 600 it"},
		{ports.StateBlocked, func(s *ports.Status) {
			s.Site = ports.SiteStatus{State: ports.SiteStateRejected, Since: now, LastError: "the key is not accepted", NextAttempt: now.Add(6 * time.Hour)}
			s.Issuer = ports.IssuerStatus{State: ports.IssuerStateRetrying, LastError: "status 503"}
		}, "needs an operator since 13:00: the key is not accepted, next attempt at 19:00"},
		{ports.StateBlocked, func(s *ports.Status) {
			s.Site = ports.SiteStatus{State: ports.SiteStateEnrolled}
			s.Issuer = ports.IssuerStatus{State: ports.IssuerStateDenied, Since: now, LastError: "an operator denied this host"}
		}, "needs an operator since 13:00: an operator denied this host"},
		{ports.StateBlocked, func(s *ports.Status) {
			relay(s, ports.RelayStateRefused, now.Add(-time.Hour), "status 401")
			s.Issuer = ports.IssuerStatus{State: ports.IssuerStateRetrying, LastError: "status 503"}
		}, "needs an operator: the relay refuses this machine's key since 12:00: status 401"},
		{ports.StateBlocked, func(s *ports.Status) {
			s.Certificate = ports.CertificateReport{Status: ports.CertExpired, Detail: "it expired"}
		}, "needs an operator: it expired"},
		{ports.StateEnrolling, func(s *ports.Status) {
			s.Site = ports.SiteStatus{State: ports.SiteStateRetrying, LastError: "status 503", NextAttempt: now.Add(time.Millisecond)}
		}, "enrolling: status 503, next attempt in 1 s"},
		{ports.StateEnrolling, func(s *ports.Status) { s.Issuer.State = ports.IssuerStateRetrying }, "enrolling at the manager"},
		{ports.StateConnecting, func(s *ports.Status) { relay(s, ports.RelayStateConnecting, now, "no connection") }, "connecting to the relay: no connection"},
		{ports.StateConnecting, func(s *ports.Status) { relay(s, ports.RelayStateRefused, now, "status 401") }, "the relay refuses this machine's key since 13:00: status 401"},
		{ports.StateConnecting, func(s *ports.Status) { s.Certificate.Detail = "it begins at noon" }, "waiting for the certificate's time to begin: it begins at noon"},
		{ports.StateConnected, func(s *ports.Status) { relay(s, ports.RelayStateConnected, now.Add(-2*time.Hour), "") }, "connected to the relay since 11:00"},
		{ports.StateServing, func(s *ports.Status) { s.Certificate.NotAfter = now.AddDate(0, 0, 90) }, "serving with a certificate that is valid until 2026-05-30 13:00"},
		{ports.StateServing, func(*ports.Status) {}, "serving with a valid certificate"},
		{ports.StateNotConfigured, func(*ports.Status) {}, "nothing is configured"},
		{ports.StateStopped, func(*ports.Status) {}, "stopped"},
	} {
		t.Run(test.want, func(t *testing.T) {
			s := status(test.change)
			s.State = test.state
			here := now.In(time.FixedZone("", 3600)) // the times are told in the zone of now
			is.New(t).Equal(Sentence(s, here), test.want)
		})
	}
}

// What a person is told of missing files depends on what they wait for.
func TestAwaitedCertificate(t *testing.T) {
	for state, want := range map[ports.IssuerState]string{
		ports.IssuerStatePending: "waiting for approval", ports.IssuerStateRetrying: "being asked for",
		ports.IssuerStateDenied: "the manager gives none: see there", ports.IssuerStateConflict: "the manager gives none: see there",
		ports.IssuerStateUnexpected: "the manager gives none: see there",
		ports.IssuerStateApproved:   "", ports.IssuerStateNotConfigured: "",
	} {
		is := is.New(t)
		s := ports.Status{Issuer: ports.IssuerStatus{State: state}, Certificate: ports.CertificateReport{Status: ports.CertMissing}}
		is.Equal(AwaitedCertificate(s), want)
		s.State = ports.StateStopped
		if state == ports.IssuerStateRetrying {
			want = "'muster run' or 'muster enroll' asks for it"
		}
		is.Equal(AwaitedCertificate(s), want)
		s.Certificate.Status = ports.CertCorrupt
		is.Equal(AwaitedCertificate(s), "") // the files are what is wrong
	}
}
