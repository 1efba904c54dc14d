// Package standing sums up how a machine stands from its parts (interface.md,
// "muster status").
package standing

import (
	"time"

	"github.com/muster-agent/muster/domain/refusal"
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
// not configured does not worsen it. listenerBlocked is true while the mTLS
// listener cannot be opened.
func Overall(s ports.Status, listenerBlocked bool, now time.Time) ports.OverallState {
	worst := ports.StateNotConfigured
	worsen := func(state ports.OverallState) {
		if severity[state] > severity[worst] {
			worst = state
		}
	}
	worsen(site(s))
	worsen(relay(s, now))
	worsen(manager(s))
	worsen(certificate(s))
	if s.Blocked != "" || listenerBlocked {
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
		if refusal.Blocks(s.Relay.Since, now) {
			return ports.StateBlocked
		}
		return ports.StateConnecting
	case ports.RelayStateNotConfigured:
		return ports.StateNotConfigured
	}
	return ports.StateNotConfigured
}

// manager is the part of the manager enrollment. A refusal of a renewal while
// the certificate in use is good is not worse than the certificate.
func manager(s ports.Status) ports.OverallState {
	served := s.Certificate.Status == ports.CertValid
	switch s.Manager.State {
	case ports.ManagerStatePending:
		return ports.StatePending
	case ports.ManagerStateDenied, ports.ManagerStateUnexpected:
		return ports.StateBlocked
	case ports.ManagerStateConflict:
		if served || s.Certificate.Status == ports.CertExpiringSoon {
			return ports.StateServing
		}
		return ports.StateBlocked
	case ports.ManagerStateRetrying:
		if served {
			return ports.StateServing
		}
		return ports.StateEnrolling
	case ports.ManagerStateApproved, ports.ManagerStateNotConfigured:
		return ports.StateNotConfigured
	}
	return ports.StateNotConfigured
}

func certificate(s ports.Status) ports.OverallState {
	switch s.Certificate.Status {
	case ports.CertValid, ports.CertExpiringSoon:
		return ports.StateServing
	case ports.CertNotYetValid:
		return ports.StateConnecting // time heals it
	case ports.CertMissing, ports.CertCorrupt, ports.CertExpired, ports.CertKeyMismatch, ports.CertUntrusted, ports.CertRevoked:
		if s.Manager.State == ports.ManagerStateNotConfigured {
			return ports.StateBlocked // nobody but a person can bring another
		}
		return ports.StateEnrolling
	case ports.CertNotConfigured:
		return ports.StateNotConfigured
	}
	return ports.StateNotConfigured
}
