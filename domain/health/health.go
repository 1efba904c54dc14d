// Package health sums up how a machine stands from its parts (docs/SPEC.md,
// "Overall state").
package health

import (
	"time"

	"github.com/muster-agent/muster/domain/keyrefusal"
	"github.com/muster-agent/muster/ports"
)

// severity ranks the states; the highest of the parts is the whole.
var severity = map[ports.OverallState]int{
	ports.StateServing:    1,
	ports.StateConnected:  2,
	ports.StateConnecting: 3,
	ports.StateEnrolling:  4,
	ports.StatePending:    5,
	ports.StateBlocked:    6,
}

// Overall is the worst state of the parts of a running agent. A part that is
// not configured does not worsen it. threshold is how long before its end a
// certificate that the manager refuses to renew becomes an operator's matter.
func Overall(s ports.Status, threshold time.Duration, now time.Time) ports.OverallState {
	worst := ports.StateNotConfigured
	worsen := func(state ports.OverallState) {
		if severity[state] > severity[worst] {
			worst = state
		}
	}
	worsen(site(s))
	worsen(relay(s, now))
	worsen(issuer(s, threshold, now))
	worsen(certificate(s, now))
	if s.Blocked != "" {
		worsen(ports.StateBlocked)
	}
	return worst
}

// site is the part of the enrollment: while a key is stored and in use, an
// enrollment that is tried again does not worsen what the relay says.
func site(s ports.Status) ports.OverallState {
	switch s.Site.State {
	case ports.SiteStatePending:
		return ports.StatePending
	case ports.SiteStateRejected, ports.SiteStateConflict, ports.SiteStateUnexpected:
		return ports.StateBlocked
	case ports.SiteStateRetrying:
		return ports.StateEnrolling
	case ports.SiteStateEnrolled, ports.SiteStateNotConfigured:
		return ports.StateNotConfigured
	}
	return ports.StateNotConfigured
}

func relay(s ports.Status, now time.Time) ports.OverallState {
	switch s.Relay.State {
	case ports.RelayStateConnected:
		return ports.StateConnected
	case ports.RelayStateConnecting:
		return ports.StateConnecting
	case ports.RelayStateRefused:
		if keyrefusal.Blocks(s.Relay.Since, now) {
			return ports.StateBlocked
		}
		return ports.StateConnecting
	case ports.RelayStateNotConfigured:
		return ports.StateNotConfigured
	}
	return ports.StateNotConfigured
}

// issuer is the part of the request for a certificate. A refusal of a renewal while
// the certificate in use is good is not worse than the certificate.
func issuer(s ports.Status, threshold time.Duration, now time.Time) ports.OverallState {
	served := s.Certificate.Status == ports.CertValid
	switch s.Issuer.State {
	case ports.IssuerStatePending:
		return ports.StatePending
	case ports.IssuerStateDenied, ports.IssuerStateUnexpected:
		return ports.StateBlocked
	case ports.IssuerStateConflict:
		if served || s.Certificate.Status == ports.CertExpiringSoon && s.Certificate.NotAfter.Sub(now) > threshold {
			return ports.StateServing
		}
		return ports.StateBlocked
	case ports.IssuerStateRetrying:
		if served {
			return ports.StateServing
		}
		return ports.StateEnrolling
	case ports.IssuerStateApproved, ports.IssuerStateNotConfigured:
		return ports.StateNotConfigured
	}
	return ports.StateNotConfigured
}

func certificate(s ports.Status, now time.Time) ports.OverallState {
	switch s.Certificate.Status {
	case ports.CertValid, ports.CertExpiringSoon:
		return ports.StateServing
	case ports.CertNotYetValid:
		if s.Certificate.NotBefore.Sub(now) < clockProblem {
			return ports.StateConnecting // time heals it
		}
		return broken(s)
	case ports.CertMissing, ports.CertCorrupt, ports.CertExpired, ports.CertKeyMismatch, ports.CertUntrusted, ports.CertRevoked:
		return broken(s)
	case ports.CertNotConfigured:
		return ports.StateNotConfigured
	}
	return ports.StateNotConfigured
}

// clockProblem: a certificate that becomes valid sooner than this is not what
// is wrong, a clock is.
const clockProblem = time.Hour

// broken is the part of a certificate that must be replaced.
func broken(s ports.Status) ports.OverallState {
	if s.Issuer.State == ports.IssuerStateNotConfigured {
		return ports.StateBlocked // nobody but a person can bring another
	}
	return ports.StateEnrolling
}
