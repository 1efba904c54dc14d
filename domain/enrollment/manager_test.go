package enrollment

import (
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// expectation is what must follow an answer of a manager.
type expectation struct {
	do     ManagerStep
	class  ports.DelayClass
	state  ports.ManagerState
	event  string
	advice string // a part of what a person must be told
}

func (want expectation) check(t *testing.T, got ManagerNext) {
	t.Helper()
	if got.Do != want.do || got.Class != want.class || got.State != want.state || got.Event != want.event || !strings.Contains(got.Advice, want.advice) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAfterRegister(t *testing.T) {
	for name, test := range map[string]struct {
		outcome   ports.RegisterOutcome
		haveToken bool
		want      expectation
	}{
		"202":                 {ports.Registered{Token: ports.NewSecret("t")}, false, expectation{StepPoll, "", ports.ManagerStatePending, "manager.registered", "operator must approve"}},
		"409 without a token": {ports.HostExists{Detail: "web-3"}, false, expectation{StepRegister, ports.Operator, ports.ManagerStateConflict, "enroll.rejected", "(web-3): remove or re-approve"}},
		"409 with a token":    {ports.HostExists{}, true, expectation{StepPoll, "", ports.ManagerStatePending, "manager.resumed", "stored token"}},
		"429":                 {ports.RegisterRateLimited{}, false, expectation{StepRegister, ports.Transient, ports.ManagerStateRetrying, "enroll.retry", "limits"}},
		"5xx":                 {ports.RegisterTransient{Reason: "status 503"}, false, expectation{StepRegister, ports.Transient, ports.ManagerStateRetrying, "enroll.retry", "status 503"}},
		"anything else":       {ports.RegisterUnexpected{Status: 404}, false, expectation{StepRegister, ports.Operator, ports.ManagerStateUnexpected, "enroll.rejected", "MUSTER_MANAGER_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.check(t, AfterRegister(test.outcome, "m.example.org", test.haveToken))
		})
	}
	is := is.New(t)
	is.Equal(AfterRegister(ports.Registered{Token: ports.NewSecret("t")}, "", false).Token.Reveal(), "t")
}

func TestAfterPoll(t *testing.T) {
	register, poll := StepRegister, StepPoll
	for name, test := range map[string]struct {
		got  ManagerNext
		want expectation
	}{
		"404":           {AfterPollFailure(ports.PollGone{}, "m"), expectation{register, ports.Transient, ports.ManagerStateRetrying, "enroll.retry", "polling token"}},
		"5xx":           {AfterPollFailure(ports.PollTransient{Reason: "status 503"}, "m"), expectation{poll, ports.Transient, ports.ManagerStatePending, "enroll.retry", "status 503"}},
		"anything else": {AfterPollFailure(ports.PollUnexpected{Status: 403}, "m"), expectation{poll, ports.Operator, ports.ManagerStateUnexpected, "enroll.rejected", "status 403"}},
		"pending":       {AfterDecision(ports.DecisionPending{}, "m"), expectation{poll, "", ports.ManagerStatePending, "enroll.pending", "operator must approve"}},
		"approved":      {AfterDecision(ports.DecisionApproved{}, "m"), expectation{StepInstall, "", ports.ManagerStateApproved, "manager.approved", "approved"}},
		"denied":        {AfterDecision(ports.DecisionDenied{}, "m"), expectation{register, ports.Operator, ports.ManagerStateDenied, "enroll.denied", "denied"}},
		"notfound":      {AfterDecision(ports.DecisionUnknown{}, "m"), expectation{register, ports.Transient, ports.ManagerStateRetrying, "enroll.retry", "polling token"}},
		"unreadable":    {AfterDecision(ports.DecisionUnreadable{Reason: "no JSON"}, "m"), expectation{poll, ports.Transient, ports.ManagerStateRetrying, "enroll.retry", "no JSON"}},
	} {
		t.Run(name, func(t *testing.T) { test.want.check(t, test.got) })
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
