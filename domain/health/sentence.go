package health

import (
	"fmt"
	"time"

	"github.com/muster-agent/muster/domain/keyrefusal"
	"github.com/muster-agent/muster/ports"
)

// Sentence says in plain words, without secrets, how the machine stands, as a
// supervisor shows it ("waiting for an operator's approval since 10:04, next
// check in 58 s"). Its times are in the zone of now.
func Sentence(s ports.Status, now time.Time) string {
	switch s.State {
	case ports.StateBlocked:
		return blocked(s, now)
	case ports.StatePending:
		if s.Issuer.State == ports.IssuerStatePending {
			return "waiting for an operator's approval" + since(s.Issuer.Since, now) + next("check", s.Issuer.NextAttempt, now)
		}
		return "waiting for an operator's confirmation" + since(s.Site.Since, now) + next("check", s.Site.NextAttempt, now)
	case ports.StateEnrolling:
		if s.Site.State == ports.SiteStateRetrying {
			return "enrolling" + because(s.Site.LastError) + next("attempt", s.Site.NextAttempt, now)
		}
		return "enrolling at the manager" + because(s.Issuer.LastError) + next("attempt", s.Issuer.NextAttempt, now)
	case ports.StateConnecting:
		switch s.Relay.State {
		case ports.RelayStateRefused:
			return "the relay refuses this machine's key" + since(s.Relay.Since, now) + because(s.Relay.LastError)
		case ports.RelayStateConnecting:
			return "connecting to the relay" + because(s.Relay.LastError)
		case ports.RelayStateConnected, ports.RelayStateNotConfigured:
		}
		return "waiting for the certificate's time to begin" + because(s.Certificate.Detail)
	case ports.StateConnected:
		return "connected to the relay" + since(s.Relay.Since, now)
	case ports.StateServing:
		if s.Certificate.NotAfter.IsZero() {
			return "serving with a valid certificate"
		}
		return "serving with a certificate that is valid until " + at(s.Certificate.NotAfter, now)
	case ports.StateNotConfigured:
		return "nothing is configured"
	case ports.StateStopped:
		return "stopped"
	}
	return string(s.State)
}

// blocked names what a person must do, in the words of the part for which they
// must.
func blocked(s ports.Status, now time.Time) string {
	const needs = "needs an operator"
	switch {
	case s.Blocked != "":
		return needs + because(s.Blocked)
	case site(s) == ports.StateBlocked:
		return needs + since(s.Site.Since, now) + because(s.Site.LastError) + next("attempt", s.Site.NextAttempt, now)
	case s.Relay.State == ports.RelayStateRefused && keyrefusal.Blocks(s.Relay.Since, now):
		return needs + ": the relay refuses this machine's key" + since(s.Relay.Since, now) + because(s.Relay.LastError)
	case s.Issuer.State == ports.IssuerStateNotConfigured:
		return needs + because(s.Certificate.Detail)
	}
	return needs + since(s.Issuer.Since, now) + because(s.Issuer.LastError) + next("attempt", s.Issuer.NextAttempt, now)
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func since(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + at(t, now)
}

// soon is up to when a wait is told as its length: the sentence stands for as
// long as nothing changes, and a longer wait would be wrong most of that time.
const soon = 2 * time.Minute

// next is when something is done again; empty while it is under way.
func next(what string, t, now time.Time) string {
	left := t.Sub(now)
	switch {
	case t.IsZero() || left <= 0:
		return ""
	case left <= soon:
		return fmt.Sprintf(", next %s in %d s", what, int64(max(left.Round(time.Second), time.Second)/time.Second))
	}
	return fmt.Sprintf(", next %s at %s", what, at(t, now))
}

// at is the time of day, with the date where that is another day's.
func at(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// AwaitedCertificate says where a missing certificate is to come from and how
// far that is; empty where a person must look at the files.
func AwaitedCertificate(s ports.Status) string {
	if s.Certificate.Status != ports.CertMissing {
		return ""
	}
	switch s.Issuer.State {
	case ports.IssuerStatePending:
		return "waiting for approval"
	case ports.IssuerStateRetrying:
		if s.State == ports.StateStopped {
			return "'muster run' or 'muster enroll' asks for it"
		}
		return "being asked for"
	case ports.IssuerStateDenied, ports.IssuerStateConflict, ports.IssuerStateUnexpected:
		return "the manager gives none: see there"
	case ports.IssuerStateApproved, ports.IssuerStateNotConfigured:
	}
	return ""
}
