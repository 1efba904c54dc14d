package enrollment

import (
	"fmt"
	"time"

	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// IssueNext is the closed set of what follows an answer of an issuer.
//
//sumtype:decl
type IssueNext interface{ issueNext() }

type (
	// IssueAsk: the request is registered. Save Resume and ask with it at once.
	IssueAsk struct {
		Resume ports.Secret
		Told   Told
	}
	// IssueKeep: make what was received durable as far as KeepFirst says, then
	// interpret it.
	IssueKeep struct{ Received ports.Received }
	// IssueInstall: a bundle came.
	IssueInstall struct {
		Bundle ports.Bundle
		Told   Told
	}
	// IssueAwait: an operator has not decided yet. Ask again with the same
	// resume value.
	IssueAwait struct{ Told Told }
	// IssueFail: try again after a wait of a class.
	IssueFail struct {
		Class ports.DelayClass
		// RetryAfter counts as the answer's Retry-After where it has none.
		RetryAfter time.Duration
		// Forget: the resume value is of no more use; the next try is a new
		// request.
		Forget bool
		Told   Told
	}
)

func (IssueAsk) issueNext()     {}
func (IssueKeep) issueNext()    {}
func (IssueInstall) issueNext() {}
func (IssueAwait) issueNext()   {}
func (IssueFail) issueNext()    {}

// Told is what people are told of an answer: the state that it puts the request
// into, the log's event, and a sentence part of what happened and what to do.
type Told struct {
	State  ports.IssuerState
	Event  ports.Event
	Advice string
}

// bundleAtLeast is the size, in bytes, from which on an answer is made durable
// before it is looked at. A certificate with its CA is several times as large;
// "pending" is a tenth of it, and comes every minute for days.
const bundleAtLeast = 512

// KeepFirst reports whether a received answer is made durable before it is
// interpreted, since it is large enough for a certificate.
func KeepFirst(r ports.Received) bool { return len(r.Raw.Reveal()) >= bundleAtLeast }

// AfterSubmit decides what follows the answer to a submission. resumed says
// that it asked for the decision on an earlier one. issuer is named in the
// advice.
func AfterSubmit(outcome ports.SubmitOutcome, resumed bool, issuer string) IssueNext {
	switch o := outcome.(type) {
	case ports.IssueReceived:
		return IssueKeep{o.Received}
	case ports.IssuePending:
		if resumed {
			return await(issuer)
		}
		return IssueAsk{o.Resume, Told{
			ports.IssuerStatePending, ports.EventManagerRegistered,
			fmt.Sprintf("registered at %s: an operator must approve this host there", issuer),
		}}
	case ports.IssueDenied:
		return denied(issuer)
	case ports.IssueKnown:
		return IssueFail{Class: ports.Operator, Forget: !resumed, Told: Told{
			ports.IssuerStateConflict, ports.EventEnrollRejected,
			fmt.Sprintf("%s knows this host already%s: remove or re-approve this host at the manager", issuer, detail(o.Detail)),
		}}
	case ports.IssueUnknown:
		return unknown(issuer)
	case ports.IssueNeedsCredentials:
		return IssueFail{Class: ports.Operator, Forget: !resumed, Told: Told{
			ports.IssuerStateUnexpected, ports.EventEnrollRejected,
			fmt.Sprintf("%s does not accept this host's credentials%s: configure others", issuer, detail(o.Detail)),
		}}
	case ports.IssueBusy:
		if resumed {
			return IssueFail{Class: ports.Transient, Told: Told{ports.IssuerStatePending, ports.EventEnrollRetry, o.Reason}}
		}
		return IssueFail{Class: ports.Transient, RetryAfter: retry.RegisterEvery, Told: Told{
			ports.IssuerStateRetrying, ports.EventEnrollRetry,
			fmt.Sprintf("%s limits how often hosts register: trying again later", issuer),
		}}
	case ports.Unavailable:
		state := ports.IssuerStateRetrying
		if resumed {
			state = ports.IssuerStatePending
		}
		return IssueFail{Class: ports.Transient, Told: Told{state, ports.EventEnrollRetry, o.Reason}}
	case ports.IssueUnexpected:
		what := "registration"
		if resumed {
			what = "question for its decision"
		}
		return IssueFail{Class: ports.Operator, Forget: !resumed, Told: Told{
			ports.IssuerStateUnexpected, ports.EventEnrollRejected,
			fmt.Sprintf("%s answered the %s with status %d%s: check that %s", issuer, what, o.Status, detail(o.Detail), o.Check),
		}}
	}
	panic(fmt.Sprintf("enrollment: unknown outcome %T of a submission", outcome)) // a linter checks that the switch is whole
}

// AfterDecision decides what follows a received answer, once it is interpreted.
func AfterDecision(decision ports.IssueDecision, issuer string) IssueNext {
	switch d := decision.(type) {
	case ports.Issued:
		return IssueInstall{d.Bundle, Told{ports.IssuerStateApproved, ports.EventManagerApproved, "approved at " + issuer}}
	case ports.IssuePending:
		return await(issuer)
	case ports.IssueDenied:
		return denied(issuer)
	case ports.IssueUnknown:
		return unknown(issuer)
	case ports.IssueUnreadable:
		return IssueFail{Class: ports.Transient, Told: Told{
			ports.IssuerStateRetrying, ports.EventEnrollRetry, fmt.Sprintf("the answer of %s cannot be read: %s", issuer, d.Reason),
		}}
	}
	panic(fmt.Sprintf("enrollment: unknown decision %T", decision)) // a linter checks that the switch is whole
}

// Passing is what follows a failure that time heals: of the store, or of this
// host's own.
func Passing(reason string) IssueFail {
	return IssueFail{Class: ports.Transient, Told: Told{ports.IssuerStateRetrying, ports.EventEnrollRetry, reason}}
}

// Refused is what follows a bundle that cannot be used and was set aside.
func Refused(why error, issuer string) IssueFail {
	return IssueFail{Class: ports.Operator, Forget: true, Told: Told{
		ports.IssuerStateUnexpected, ports.EventEnrollRejected, fmt.Sprintf("%v; have %s issue another and look at its CA", why, issuer),
	}}
}

func await(issuer string) IssueNext {
	return IssueAwait{Told{ports.IssuerStatePending, ports.EventEnrollPending, fmt.Sprintf("an operator must approve this host at %s", issuer)}}
}

func denied(issuer string) IssueNext {
	return IssueFail{Class: ports.Operator, Forget: true, Told: Told{
		ports.IssuerStateDenied, ports.EventEnrollDenied,
		fmt.Sprintf("an operator at %s denied this host: it registers again later; clear that with the operator", issuer),
	}}
}

func unknown(issuer string) IssueNext {
	return IssueFail{Class: ports.Transient, Forget: true, Told: Told{
		ports.IssuerStateRetrying, ports.EventEnrollRetry,
		fmt.Sprintf("%s no longer knows this host's polling token (expired or used): registering again", issuer),
	}}
}

// Round is how the polls of a round stand after one more pending answer: how
// many to remember, and whether the round is over. At most most are made in one.
func Round(polls, most int) (remembered int, over bool) {
	if polls++; polls >= most {
		return 0, true
	}
	return polls, false
}

// LastFailure returns the newest failure that is remembered of a request, empty
// if there is none. While a decision is awaited, that is a failure of its polls;
// else it is a failed registration or the poll that ended the request.
func LastFailure(pending ports.PendingIssue, register, poll ports.RetryEntry) ports.RetryEntry {
	waits := pending.Phase == ports.PhasePending
	switch {
	case !waits && poll.LastAttempt.After(register.LastAttempt), waits && !poll.LastAttempt.Before(pending.SubmittedAt):
		return poll
	case !waits:
		return register
	}
	return ports.RetryEntry{} // the failed poll was made with an earlier token
}

// NeedsOperator reports whether a state waits for an operator to change
// something.
func NeedsOperator(state ports.IssuerState) bool {
	switch state {
	case ports.IssuerStateDenied, ports.IssuerStateConflict, ports.IssuerStateUnexpected:
		return true
	case ports.IssuerStateApproved, ports.IssuerStatePending, ports.IssuerStateRetrying, ports.IssuerStateNotConfigured:
	}
	return false
}
