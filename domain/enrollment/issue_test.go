package enrollment

import (
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// expectation is what must follow an answer of an issuer.
type expectation struct {
	next   IssueNext // without what people are told
	state  ports.IssuerState
	event  ports.Event
	advice string // a part of the advice
}

func (want expectation) check(t *testing.T, got IssueNext) {
	t.Helper()
	var told Told
	switch n := got.(type) {
	case IssueAsk:
		told, n.Told = n.Told, Told{}
		got = n
	case IssueInstall:
		told, n.Told = n.Told, Told{}
		got = n
	case IssueAwait:
		told, n.Told = n.Told, Told{}
		got = n
	case IssueFail:
		told, n.Told = n.Told, Told{}
		got = n
	case IssueKeep:
	}
	is := is.New(t)
	is.Equal(got, want.next)
	is.Equal(told.State, want.state)
	is.Equal(told.Event, want.event)
	is.True(strings.Contains(told.Advice, want.advice)) // the advice says it
}

func TestAfterSubmit(t *testing.T) {
	const retrying, pending, unexpected = ports.IssuerStateRetrying, ports.IssuerStatePending, ports.IssuerStateUnexpected
	transient, operator, over := IssueFail{Class: ports.Transient}, IssueFail{Class: ports.Operator}, IssueFail{Class: ports.Operator, Forget: true}
	resume, received := ports.NewSecret("t"), ports.Received{Raw: ports.NewSecret("r")}
	for name, test := range map[string]struct {
		outcome ports.SubmitOutcome
		resumed bool
		want    expectation
	}{
		"pending":              {ports.IssuePending{Resume: resume}, false, expectation{IssueAsk{Resume: resume}, pending, ports.EventManagerRegistered, "operator must approve"}},
		"received":             {ports.IssueReceived{Received: received}, false, expectation{IssueKeep{received}, "", "", ""}},
		"known":                {ports.IssueKnown{Detail: "web-3"}, false, expectation{over, ports.IssuerStateConflict, ports.EventEnrollRejected, "(web-3): remove or re-approve"}},
		"busy":                 {ports.IssueBusy{}, false, expectation{IssueFail{Class: ports.Transient, RetryAfter: time.Minute}, retrying, ports.EventEnrollRetry, "limits"}},
		"unavailable":          {ports.Unavailable{Reason: "status 503"}, false, expectation{transient, retrying, ports.EventEnrollRetry, "status 503"}},
		"needs credentials":    {ports.IssueNeedsCredentials{Detail: "realm"}, false, expectation{over, unexpected, ports.EventEnrollRejected, "credentials (realm)"}},
		"unexpected":           {ports.IssueUnexpected{Status: 404, Check: "X is Y"}, false, expectation{over, unexpected, ports.EventEnrollRejected, "the registration with status 404: check that X is Y"}},
		"resumed: pending":     {ports.IssuePending{}, true, expectation{IssueAwait{}, pending, ports.EventEnrollPending, "operator must approve"}},
		"resumed: received":    {ports.IssueReceived{Received: received}, true, expectation{IssueKeep{received}, "", "", ""}},
		"resumed: denied":      {ports.IssueDenied{}, true, expectation{IssueFail{Class: ports.Operator, Forget: true}, ports.IssuerStateDenied, ports.EventEnrollDenied, "denied"}},
		"resumed: unknown":     {ports.IssueUnknown{}, true, expectation{IssueFail{Class: ports.Transient, Forget: true}, retrying, ports.EventEnrollRetry, "polling token"}},
		"resumed: busy":        {ports.IssueBusy{Reason: "status 429"}, true, expectation{transient, pending, ports.EventEnrollRetry, "status 429"}},
		"resumed: unavailable": {ports.Unavailable{Reason: "status 503"}, true, expectation{transient, pending, ports.EventEnrollRetry, "status 503"}},
		"resumed: unexpected":  {ports.IssueUnexpected{Status: 403, Check: "X is Y"}, true, expectation{operator, unexpected, ports.EventEnrollRejected, "question for its decision with status 403"}},
	} {
		t.Run(name, func(t *testing.T) { test.want.check(t, AfterSubmit(test.outcome, test.resumed, "m.example.org")) })
	}
}

func TestAfterDecision(t *testing.T) {
	bundle := ports.Bundle{CA: []byte("ca")}
	for name, test := range map[string]struct {
		decision ports.IssueDecision
		want     expectation
	}{
		"issued":     {ports.Issued{Bundle: bundle}, expectation{IssueInstall{Bundle: bundle}, ports.IssuerStateApproved, ports.EventManagerApproved, "approved at m"}},
		"pending":    {ports.IssuePending{}, expectation{IssueAwait{}, ports.IssuerStatePending, ports.EventEnrollPending, "operator must approve"}},
		"denied":     {ports.IssueDenied{}, expectation{IssueFail{Class: ports.Operator, Forget: true}, ports.IssuerStateDenied, ports.EventEnrollDenied, "denied"}},
		"unknown":    {ports.IssueUnknown{}, expectation{IssueFail{Class: ports.Transient, Forget: true}, ports.IssuerStateRetrying, ports.EventEnrollRetry, "polling token"}},
		"unreadable": {ports.IssueUnreadable{Reason: "no JSON"}, expectation{IssueFail{Class: ports.Transient}, ports.IssuerStateRetrying, ports.EventEnrollRetry, "no JSON"}},
	} {
		t.Run(name, func(t *testing.T) { test.want.check(t, AfterDecision(test.decision, "m")) })
	}
}

// An answer is kept before it is read if it is large enough for a certificate.
func TestKeepFirst(t *testing.T) {
	is := is.New(t)
	is.True(!KeepFirst(ports.Received{Raw: ports.NewSecret(strings.Repeat("x", 511))})) // too small for one
	is.True(KeepFirst(ports.Received{Raw: ports.NewSecret(strings.Repeat("x", 512))}))  // it may hold one
}

func TestRound(t *testing.T) {
	is := is.New(t)
	polls, over := Round(0, 3)
	is.Equal(polls, 1)
	is.True(!over) // two are left
	polls, over = Round(2, 3)
	is.Equal(polls, 0)
	is.True(over) // the last of its round
}

func TestNeedsOperator(t *testing.T) {
	is := is.New(t)
	for state, want := range map[ports.IssuerState]bool{
		ports.IssuerStateDenied: true, ports.IssuerStateConflict: true, ports.IssuerStateUnexpected: true,
		ports.IssuerStateApproved: false, ports.IssuerStatePending: false, ports.IssuerStateRetrying: false, ports.IssuerStateNotConfigured: false,
	} {
		is.Equal(NeedsOperator(state), want)
	}
}

func TestCareFor(t *testing.T) {
	is := is.New(t)
	is.Equal(CareFor(ports.CertValid, false, true), CareNone)
	is.Equal(CareFor(ports.CertExpiringSoon, false, true), CareRenew)
	is.Equal(CareFor(ports.CertExpiringSoon, false, false), CareRegister)
	is.Equal(CareFor(ports.CertNotYetValid, true, true), CareClock)
	is.Equal(CareFor(ports.CertNotYetValid, false, true), CareRegister)
	for _, status := range []ports.CertificateStatus{
		ports.CertMissing, ports.CertCorrupt, ports.CertExpired, ports.CertKeyMismatch, ports.CertUntrusted, ports.CertRevoked, ports.CertNotConfigured,
	} {
		is.Equal(CareFor(status, false, true), CareRegister)
	}
}
