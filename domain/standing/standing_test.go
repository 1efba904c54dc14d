package standing

import (
	"strings"
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
		Manager:     ports.ManagerStatus{State: ports.ManagerStateNotConfigured},
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
		s.Manager.State, s.Certificate.Status = ports.ManagerStateApproved, ports.CertValid
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
			s.Manager.State, s.Certificate.Status = ports.ManagerStatePending, ports.CertMissing
		}, ports.StatePending},
		"manager denied": {func(s *ports.Status) {
			s.Manager.State, s.Certificate.Status = ports.ManagerStateDenied, ports.CertMissing
		}, ports.StateBlocked},
		"certificate missing, no manager": {func(s *ports.Status) { s.Certificate.Status = ports.CertExpired }, ports.StateBlocked},
		"renewal refused, valid":          {func(s *ports.Status) { serving(s); s.Manager.State = ports.ManagerStateConflict }, ports.StateServing},
		"renewal refused, time left": {func(s *ports.Status) {
			serving(s)
			s.Manager.State, s.Certificate.Status, s.Certificate.NotAfter = ports.ManagerStateConflict, ports.CertExpiringSoon, now.AddDate(0, 0, 8)
		}, ports.StateServing},
		"renewal refused, near the end": {func(s *ports.Status) {
			serving(s)
			s.Manager.State, s.Certificate.Status, s.Certificate.NotAfter = ports.ManagerStateConflict, ports.CertExpiringSoon, now.AddDate(0, 0, 6)
		}, ports.StateBlocked},
		"begins in 59 minutes": {func(s *ports.Status) {
			s.Certificate.Status, s.Certificate.NotBefore = ports.CertNotYetValid, now.Add(59*time.Minute)
		}, ports.StateConnecting},
		"begins in an hour, no manager": {func(s *ports.Status) {
			s.Certificate.Status, s.Certificate.NotBefore = ports.CertNotYetValid, now.Add(time.Hour)
		}, ports.StateBlocked},
		"renewal under way, valid": {func(s *ports.Status) { serving(s); s.Manager.State = ports.ManagerStateRetrying }, ports.StateServing},
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
	is := is.New(t)
	s := status(func(s *ports.Status) {
		s.State, s.Site.State = ports.StatePending, ports.SiteStatePending
		s.Site.Since, s.Site.NextAttempt = now.Add(-time.Hour), now.Add(58*time.Second)
	})
	is.Equal(Sentence(s, now), "waiting for an operator's confirmation since 11:00, next check in 58s")
	s = status(func(s *ports.Status) { s.State, s.Blocked = ports.StateBlocked, "chmod 600 it" })
	is.True(strings.Contains(Sentence(s, now), "chmod 600 it"))
}
