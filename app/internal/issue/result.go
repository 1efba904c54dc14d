package issue

import (
	"fmt"
	"time"

	"github.com/muster-agent/muster/app/internal/certs"
	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Result is the closed set of ends of one step towards a valid certificate.
//
//sumtype:decl
type Result interface{ result() }

type (
	// Valid: the certificate is good and not due. Nothing was asked.
	Valid struct {
		Until, RenewAt time.Time
		Wait           time.Duration // until it is due
	}
	// Installed: there is a new certificate, and it is in use.
	Installed struct{ Until time.Time }
	// Registered: the issuer took the request; the decision is asked for at
	// once.
	Registered struct{ Told enrollment.Told }
	// Awaited: an operator has not decided. RoundOver: this was the last
	// question of its round.
	Awaited struct {
		Told      enrollment.Told
		Pause     retry.Pause
		RoundOver bool
	}
	// HeldBack: nothing was asked, because the issuer's wish or an earlier
	// attempt forbids it.
	HeldBack struct {
		Issuer  string
		Wait    time.Duration
		Pending bool // an operator's decision is awaited
	}
	// Failed: try again after the pause.
	Failed struct {
		Told  enrollment.Told
		Pause retry.Pause
	}
	// NotYetValid: a clock is wrong; wait for the certificate's time to begin.
	NotYetValid struct {
		Detail string
		Wait   time.Duration
	}
	// ByHand: certificates that were placed by hand; nobody renews them.
	ByHand struct{ Judgement cert.Judgement }
	// Stopped: told to stop before the outcome was known. Pending: an
	// operator's decision is awaited.
	Stopped struct{ Pending bool }
)

func (Valid) result()       {}
func (Installed) result()   {}
func (Registered) result()  {}
func (Awaited) result()     {}
func (HeldBack) result()    {}
func (Failed) result()      {}
func (NotYetValid) result() {}
func (ByHand) result()      {}
func (Stopped) result()     {}

// Wait is how long to wait before the next step.
func Wait(r Result) time.Duration {
	switch r := r.(type) {
	case Valid:
		return r.Wait
	case Awaited:
		return r.Pause.Wait
	case HeldBack:
		return r.Wait
	case Failed:
		return r.Pause.Wait
	case NotYetValid:
		return r.Wait
	case ByHand:
		return retry.LookEvery
	case Installed, Registered, Stopped:
	}
	return 0
}

// Told is a result for the person who asked for a look at the certificate.
func Told(r Result) ports.RenewResult {
	line := func(end ports.RenewEnd, text string) ports.RenewResult {
		return ports.RenewResult{End: end, Line: text}
	}
	unless := func(pending bool) ports.RenewEnd {
		if pending {
			return ports.RenewPending
		}
		return ports.RenewFailed
	}
	switch r := r.(type) {
	case Valid:
		return line(ports.RenewDone, fmt.Sprintf("The certificate is valid until %s and is renewed from %s on.", certs.When(r.Until), certs.When(r.RenewAt)))
	case Installed:
		return line(ports.RenewDone, fmt.Sprintf("A certificate is installed, valid until %s.", certs.When(r.Until)))
	case Registered:
		return line(ports.RenewPending, Sentence(r.Told.Advice))
	case Awaited:
		return line(ports.RenewPending, Sentence(r.Told.Advice))
	case HeldBack:
		return line(unless(r.Pending), r.Issuer+" was asked a moment ago, or asked for patience.")
	case Failed:
		return line(ports.RenewFailed, Sentence(r.Told.Advice))
	case NotYetValid:
		return line(ports.RenewFailed, r.Detail)
	case ByHand:
		switch j := r.Judgement; {
		case j.Servable():
			return line(ports.RenewDone, fmt.Sprintf("The certificate is valid until %s. No manager is configured, so nobody renews it.", certs.When(j.NotAfter)))
		case j.Status == ports.CertMissing: // which says so
			return line(ports.RenewFailed, j.Detail)
		}
		return line(ports.RenewFailed, r.Judgement.Detail+" No manager is configured: set MUSTER_MANAGER_URL, or place the files by hand.")
	case Stopped:
		return line(unless(r.Pending), "Stopped: running this again, or 'muster run', goes on from here.")
	}
	return line(ports.RenewFailed, "") // a linter checks that the switch is whole
}

// Sentence is an advice as a sentence of its own.
func Sentence(advice string) string {
	if advice != "" && 'a' <= advice[0] && advice[0] <= 'z' {
		advice = string(advice[0]-'a'+'A') + advice[1:]
	}
	return advice + "."
}
