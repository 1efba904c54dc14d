package memory

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestOptionsInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		m := &Manager{ApproveAfter: 2, Lifetime: 365 * 24 * time.Hour, CRLLifetime: time.Minute, IgnoreCSR: true}
		c := m.Client(nil)
		start := time.Now()
		time.Sleep(90 * 24 * time.Hour)
		token := c.Register(t.Context(), ports.RegisterRequest{MachineID: "a", FQDN: "web-3"}).Outcome.(ports.Registered).Token
		decide := func() ports.PollDecision {
			return c.Interpret(c.Poll(t.Context(), token).Outcome.(ports.PollAnswered).Body)
		}
		is.Equal(decide(), ports.DecisionPending{})
		is.Equal(decide(), ports.DecisionPending{})
		_, ok := decide().(ports.DecisionApproved)
		is.True(ok)                                 // approved
		is.Equal(decide(), ports.DecisionUnknown{}) // the bundle is given once
		leaf := m.Issued("a")[0]
		is.Equal(leaf.NotBefore, start.Add(90*24*time.Hour).UTC())
		is.Equal(leaf.NotAfter.Sub(leaf.NotBefore), 365*24*time.Hour)
		is.Equal(m.Count(Poll), 4)
		is.Equal(m.Requests()[0].At, start.Add(90*24*time.Hour))
		is.True(m.Approve("b") != nil) // nobody
	})
}

func TestHostOfAFormerLife(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := new(Manager)
	m.AddHost("a")
	register := func() ports.RegisterOutcome {
		return m.Client(nil).Register(t.Context(), ports.RegisterRequest{MachineID: "a", FQDN: "web-3"}).Outcome
	}
	is.Equal(register(), ports.HostExists{Detail: "this host exists already"})
	is.NoErr(m.Remove("a"))
	_, registered := register().(ports.Registered)
	is.True(registered) // the host may register again
}

func TestFaultsInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		// An answer that is lost after the deed, and a manager that is silent.
		m := &Manager{
			OnPoll: func(_ context.Context, _ ports.Secret, serve func() ports.PollAnswer) ports.PollAnswer {
				serve()
				return ports.PollAnswer{Outcome: ports.PollTransient{Reason: "the connection broke"}}
			},
			OnCRL: func(ctx context.Context, _ func() ports.CRLAnswer) ports.CRLAnswer {
				<-ctx.Done()
				return ports.CRLAnswer{}
			},
		}
		c := m.Client(nil)
		token := c.Register(t.Context(), ports.RegisterRequest{MachineID: "a", FQDN: "web-3"}).Outcome.(ports.Registered).Token
		is.Equal(c.Poll(t.Context(), token).Outcome, ports.PollTransient{Reason: "the connection broke"})
		is.Equal(len(m.Issued("a")), 1)
		m.OnPoll = nil
		is.Equal(c.Interpret(c.Poll(t.Context(), token).Outcome.(ports.PollAnswered).Body), ports.DecisionUnknown{})

		start := time.Now()
		is.Equal(c.CRL(t.Context()).Reason, "fetching the revocation list failed: timed out")
		is.Equal(time.Since(start), 30*time.Second)
	})
}

func BenchmarkEnrollment(b *testing.B) {
	m := &Manager{IgnoreCSR: true}
	c := m.Client(nil)
	for i := 0; b.Loop(); i++ {
		token := c.Register(b.Context(), ports.RegisterRequest{MachineID: string(rune(i)), FQDN: "web-3"}).Outcome.(ports.Registered).Token
		c.Poll(b.Context(), token)
	}
}

func TestManagerContract(t *testing.T) {
	t.Parallel()
	contracttest.ManagerEnroller(t, func(_ *testing.T, script contracttest.ManagerScript) contracttest.ScriptedManager {
		wait := func(ctx context.Context) {
			if script.Hang {
				<-ctx.Done()
			}
		}
		// A transient failure of the script is a manager's 500. Said here once,
		// since calls come at the same time.
		if _, ok := script.Register.Outcome.(ports.RegisterTransient); ok {
			script.Register.Outcome = ports.RegisterTransient{Reason: "it answered 500"}
		}
		if _, ok := script.Poll.Outcome.(ports.PollTransient); ok {
			script.Poll.Outcome = ports.PollTransient{Reason: "it answered 500"}
		}
		if _, ok := script.Renew.Outcome.(ports.RenewTransient); ok {
			script.Renew.Outcome = ports.RenewTransient{Reason: "it answered 500"}
		}
		m := &Manager{
			OnRegister: func(ctx context.Context, _ ports.RegisterRequest, _ func() ports.RegisterAnswer) ports.RegisterAnswer {
				wait(ctx)
				return script.Register
			},
			OnPoll: func(ctx context.Context, _ ports.Secret, _ func() ports.PollAnswer) ports.PollAnswer {
				wait(ctx)
				return script.Poll
			},
			OnRenew: func(ctx context.Context, _ []byte, _ func() ports.RenewAnswer) ports.RenewAnswer {
				wait(ctx)
				return script.Renew
			},
			OnCRL: func(ctx context.Context, _ func() ports.CRLAnswer) ports.CRLAnswer {
				wait(ctx)
				return script.CRL
			},
		}
		return contracttest.ScriptedManager{Enroller: m.Client(nil), Requests: func() (out []contracttest.ManagerRequest) {
			for _, r := range m.Requests() {
				out = append(out, contracttest.ManagerRequest{Kind: string(r.Kind), Register: r.Register, Token: r.Token, CSR: r.CSR})
			}
			return out
		}}
	})
}

func TestManagerLife(t *testing.T) {
	t.Parallel()
	contracttest.ManagerLife(t, func(_ *testing.T, kind contracttest.ManagerKind) contracttest.LiveManager {
		m := &Manager{Manual: true, IgnoreCSR: kind.IgnoreCSR, NoRenew: kind.NoRenew}
		var present atomic.Pointer[tls.Certificate]
		return contracttest.LiveManager{
			Enroller: m.Client(func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return present.Load(), nil }),
			Present:  func(c *tls.Certificate) { present.Store(c) },
			Approve:  m.Approve, Deny: m.Deny, Remove: m.Remove, Revoke: m.Revoke,
		}
	})
}
