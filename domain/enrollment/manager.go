package enrollment

import (
	"fmt"
	"time"

	"github.com/muster-agent/muster/ports"
)

// ManagerNext is what follows an answer of a manager.
type ManagerNext struct {
	Do     ManagerStep
	Token  ports.Secret // the new polling token, with StepPoll after a registration
	Bundle ports.Bundle // what to install, with StepInstall

	Class ports.DelayClass // of the wait before the next step; empty if there is none
	// RetryAfter counts as the answer's Retry-After where it has none.
	RetryAfter time.Duration

	State  ports.ManagerState
	Event  string
	Advice string // what happened and what to do, in one sentence for a person
}

// ManagerStep is what an enrollment at a manager does next.
type ManagerStep int

// The steps.
const (
	// StepRegister: there is no token, or it is no longer of use.
	StepRegister ManagerStep = iota
	// StepPoll: ask with the token.
	StepPoll
	// StepInstall: a bundle was received.
	StepInstall
)

// registerEvery is how long a manager has an address wait between registrations
// (docs/PROTOCOLS.md, "Register").
const registerEvery = time.Minute

// AfterRegister decides what follows the answer to a registration
// (docs/PROTOCOLS.md, "Register"). haveToken says that a token for this manager
// is stored.
func AfterRegister(outcome ports.RegisterOutcome, manager string, haveToken bool) ManagerNext {
	switch o := outcome.(type) {
	case ports.Registered:
		return ManagerNext{
			Do: StepPoll, Token: o.Token, State: ports.ManagerStatePending, Event: "manager.registered",
			Advice: fmt.Sprintf("registered at %s: an operator must approve this host there", manager),
		}
	case ports.HostExists:
		if haveToken {
			return ManagerNext{Do: StepPoll, State: ports.ManagerStatePending, Event: "manager.resumed", Advice: fmt.Sprintf("%s knows this host: asking with the stored token", manager)}
		}
		return ManagerNext{
			Class: ports.Operator, State: ports.ManagerStateConflict, Event: "enroll.rejected",
			Advice: fmt.Sprintf("%s knows this host already%s: remove or re-approve this host at the manager", manager, detail(o.Detail)),
		}
	case ports.RegisterRateLimited:
		return ManagerNext{
			Class: ports.Transient, RetryAfter: registerEvery, State: ports.ManagerStateRetrying, Event: "enroll.retry",
			Advice: fmt.Sprintf("%s limits how often hosts register: trying again later", manager),
		}
	case ports.RegisterTransient:
		return ManagerNext{Class: ports.Transient, State: ports.ManagerStateRetrying, Event: "enroll.retry", Advice: o.Reason}
	case ports.RegisterUnexpected:
		return ManagerNext{
			Class: ports.Operator, State: ports.ManagerStateUnexpected, Event: "enroll.rejected",
			Advice: fmt.Sprintf("%s answered the registration with status %d%s: check that MUSTER_MANAGER_URL is a manager that knows /api/v1/enroll", manager, o.Status, detail(o.Detail)),
		}
	}
	panic(fmt.Sprintf("enrollment: unknown register outcome %T", outcome)) // a linter checks that the switch is whole
}

// AfterPollFailure decides what follows a poll that was not answered with 200.
// The outcome may not be a ports.PollAnswered.
func AfterPollFailure(outcome ports.PollOutcome, manager string) ManagerNext {
	switch o := outcome.(type) {
	case ports.PollGone:
		return tokenUnknown(manager)
	case ports.PollTransient:
		return ManagerNext{Do: StepPoll, Class: ports.Transient, State: ports.ManagerStatePending, Event: "enroll.retry", Advice: o.Reason}
	case ports.PollUnexpected:
		return ManagerNext{
			Do: StepPoll, Class: ports.Operator, State: ports.ManagerStateUnexpected, Event: "enroll.rejected",
			Advice: fmt.Sprintf("%s answered the question for its decision with status %d%s: check that MUSTER_MANAGER_URL is a manager that knows /api/v1/enroll", manager, o.Status, detail(o.Detail)),
		}
	case ports.PollAnswered:
	}
	panic(fmt.Sprintf("enrollment: %T is no failure of a poll", outcome))
}

// AfterDecision decides what follows the decision that a poll's 200 brought.
func AfterDecision(decision ports.PollDecision, manager string) ManagerNext {
	switch d := decision.(type) {
	case ports.DecisionPending:
		return ManagerNext{
			Do: StepPoll, State: ports.ManagerStatePending, Event: "enroll.pending",
			Advice: fmt.Sprintf("an operator must approve this host at %s", manager),
		}
	case ports.DecisionApproved:
		return ManagerNext{Do: StepInstall, Bundle: d.Bundle, State: ports.ManagerStateApproved, Event: "manager.approved", Advice: fmt.Sprintf("approved at %s", manager)}
	case ports.DecisionDenied:
		return ManagerNext{
			Class: ports.Operator, State: ports.ManagerStateDenied, Event: "enroll.denied",
			Advice: fmt.Sprintf("an operator at %s denied this host: it registers again later; clear that with the operator", manager),
		}
	case ports.DecisionUnknown:
		return tokenUnknown(manager)
	case ports.DecisionUnreadable:
		return ManagerNext{
			Do: StepPoll, Class: ports.Transient, State: ports.ManagerStateRetrying, Event: "enroll.retry",
			Advice: fmt.Sprintf("the answer of %s cannot be read: %s", manager, d.Reason),
		}
	}
	panic(fmt.Sprintf("enrollment: unknown decision %T", decision)) // a linter checks that the switch is whole
}

func tokenUnknown(manager string) ManagerNext {
	return ManagerNext{
		Class: ports.Transient, State: ports.ManagerStateRetrying, Event: "enroll.retry",
		Advice: fmt.Sprintf("%s no longer knows this host's polling token (expired or used): registering again", manager),
	}
}

// LastFailure returns the newest failure that is remembered of an enrollment,
// empty if there is none. With a token, that is a failure of its polls; without
// one, it is a failed registration or the poll that ended the enrollment.
func LastFailure(pending ports.PendingEnrollment, register, poll ports.RetryEntry) ports.RetryEntry {
	switch {
	case pending.Token.Empty() && poll.LastAttempt.After(register.LastAttempt), !pending.Token.Empty() && !poll.LastAttempt.Before(pending.RegisteredAt):
		return poll
	case pending.Token.Empty():
		return register
	}
	return ports.RetryEntry{} // the failed poll was made with an earlier token
}

// Care is what a machine's certificate needs.
type Care int

// What a certificate may need.
const (
	// CareNone: it is valid and not due.
	CareNone Care = iota
	// CareClock: it becomes valid within the hour, which is put down to the
	// clock. Wait and warn; do not enroll.
	CareClock
	// CareRenew: ask the manager for another with this one.
	CareRenew
	// CareRegister: register and wait for an operator.
	CareRegister
)

// CareFor decides what a judged certificate needs. renewalOffered is false once
// the manager has said that it does not renew this one.
func CareFor(status ports.CertificateStatus, clockProblem, renewalOffered bool) Care {
	switch status {
	case ports.CertValid:
		return CareNone
	case ports.CertExpiringSoon:
		if renewalOffered {
			return CareRenew
		}
		return CareRegister
	case ports.CertNotYetValid:
		if clockProblem {
			return CareClock
		}
		return CareRegister
	case ports.CertMissing, ports.CertCorrupt, ports.CertExpired, ports.CertKeyMismatch, ports.CertUntrusted, ports.CertRevoked, ports.CertNotConfigured:
		return CareRegister
	}
	return CareRegister
}
