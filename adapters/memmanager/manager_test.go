package memmanager

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

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
		is.True(ok)
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
	is.True(registered)
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
