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

func TestIssuersOptionsInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		m := &Issuer{ApproveAfter: 2, Lifetime: 365 * 24 * time.Hour, CRLLifetime: time.Minute, IgnoreCSR: true, CAApart: true}
		c := m.Client(nil)
		start := time.Now()
		time.Sleep(90 * 24 * time.Hour)
		token := submit(t, c)
		is.Equal(decide(t, c, token), ports.IssuePending{})
		is.Equal(decide(t, c, token), ports.IssuePending{})
		issued, ok := decide(t, c, token).(ports.Issued)
		is.True(ok)                                         // approved after two polls
		is.Equal(len(issued.Bundle.CA), 0)                  // which comes apart
		is.Equal(decide(t, c, token), ports.IssueUnknown{}) // the bundle is given once
		ca, ok := c.CACertificates(t.Context()).Outcome.(ports.CACertificates)
		is.True(ok && len(ca.PEM) > 0) // from here
		leaf := m.Issued("a")[0]
		is.Equal(leaf.NotBefore, start.Add(90*24*time.Hour).UTC())
		is.Equal(leaf.NotAfter.Sub(leaf.NotBefore), 365*24*time.Hour)
		is.Equal(m.Count(Poll), 4)
		is.Equal(m.Requests()[0].At, start.Add(90*24*time.Hour))
		is.True(m.Approve("b") != nil) // nobody
	})
}

func submit(t *testing.T, c *IssuerClient) ports.Secret {
	t.Helper()
	o := c.Submit(t.Context(), ports.IssueRequest{MachineID: "a", Host: ports.HostFacts{FQDN: "web-3"}}).Outcome
	pending, ok := o.(ports.IssuePending)
	if !ok {
		t.Fatalf("registering: %+v", o)
	}
	return pending.Resume
}

func decide(t *testing.T, c *IssuerClient, resume ports.Secret) ports.IssueDecision {
	t.Helper()
	return c.Interpret(c.Submit(t.Context(), ports.IssueRequest{Resume: resume}).Outcome.(ports.IssueReceived).Received)
}

func TestHostOfAFormerLife(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := new(Issuer)
	m.AddHost("a")
	c := m.Client(nil)
	is.Equal(c.Submit(t.Context(), ports.IssueRequest{MachineID: "a"}).Outcome, ports.IssueKnown{Detail: "this host exists already"})
	is.NoErr(m.Remove("a"))
	submit(t, c)
}

func TestIssuersFaultsInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		// An answer that is lost after the deed, and an issuer that is silent.
		m := &Issuer{
			OnPoll: func(_ context.Context, _ ports.IssueRequest, serve func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
				serve()
				return ports.Answer[ports.SubmitOutcome]{Outcome: ports.Unavailable{Reason: "the connection broke"}}
			},
			OnCRL: func(ctx context.Context, _ func() ports.Answer[ports.RevocationOutcome]) ports.Answer[ports.RevocationOutcome] {
				<-ctx.Done()
				return ports.Answer[ports.RevocationOutcome]{}
			},
		}
		c := m.Client(nil)
		token := submit(t, c)
		is.Equal(c.Submit(t.Context(), ports.IssueRequest{Resume: token}).Outcome, ports.Unavailable{Reason: "the connection broke"})
		is.Equal(len(m.Issued("a")), 1)
		m.OnPoll = nil
		is.Equal(decide(t, c, token), ports.IssueUnknown{})

		start := time.Now()
		is.Equal(c.RevocationList(t.Context()).Outcome, ports.Unavailable{Reason: "fetching the revocation list failed: timed out"})
		is.Equal(time.Since(start), 30*time.Second)
	})
}

func TestIssuerContract(t *testing.T) {
	t.Parallel()
	contracttest.CertificateIssuer(t, func(_ *testing.T, script contracttest.IssuerScript) contracttest.ScriptedIssuer {
		answered := func(ctx context.Context) {
			if script.Hang {
				<-ctx.Done()
			}
		}
		// A passing failure is said with a reason, and a received answer says
		// the decision. Once, since calls come at the same time.
		const away = "it answered 500"
		received := ports.Received{}
		if script.Decision != nil {
			received = Encode(script.Decision)
		}
		switch o := script.Submit.Outcome.(type) {
		case ports.Unavailable:
			script.Submit.Outcome = ports.Unavailable{Reason: away}
		case ports.IssueBusy:
			script.Submit.Outcome = ports.IssueBusy{Reason: away}
		case ports.IssueReceived:
			script.Submit.Outcome = ports.IssueReceived{Received: received}
		case ports.IssueUnexpected:
			o.Check = "this is an issuer"
			script.Submit.Outcome = o
		}
		switch script.Renew.Outcome.(type) {
		case ports.Unavailable:
			script.Renew.Outcome = ports.Unavailable{Reason: away}
		case ports.IssueReceived:
			received.Renewal = true
			script.Renew.Outcome = ports.IssueReceived{Received: received}
		}
		if script.CA.Outcome == (ports.Unavailable{}) {
			script.CA.Outcome = ports.Unavailable{Reason: away}
		}
		if script.Revocations.Outcome == (ports.Unavailable{}) {
			script.Revocations.Outcome = ports.Unavailable{Reason: away}
		}
		submit := func(ctx context.Context, _ ports.IssueRequest, _ func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
			answered(ctx)
			return script.Submit
		}
		m := &Issuer{
			OnRegister: submit, OnPoll: submit,
			OnRenew: func(ctx context.Context, _ []byte, _ func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome] {
				answered(ctx)
				return script.Renew
			},
			OnCA: func(ctx context.Context, _ func() ports.Answer[ports.CAOutcome]) ports.Answer[ports.CAOutcome] {
				answered(ctx)
				return script.CA
			},
			OnCRL: func(ctx context.Context, _ func() ports.Answer[ports.RevocationOutcome]) ports.Answer[ports.RevocationOutcome] {
				answered(ctx)
				return script.Revocations
			},
		}
		client := m.Client(nil)
		return contracttest.ScriptedIssuer{Issuer: client, Revocations: client, Requests: func() (out []contracttest.IssuerRequest) {
			for _, r := range m.Requests() {
				out = append(out, contracttest.IssuerRequest{Kind: string(r.Kind), Submit: r.Submit, CSR: r.CSR})
			}
			return out
		}}
	})
}

func TestIssuerLife(t *testing.T) {
	t.Parallel()
	for _, apart := range []bool{false, true} {
		contracttest.IssuerLife(t, func(_ *testing.T, kind contracttest.IssuerKind) contracttest.LiveIssuer {
			m := &Issuer{Manual: true, IgnoreCSR: kind.IgnoreCSR, NoRenew: kind.NoRenew, CAApart: apart}
			var present atomic.Pointer[tls.Certificate]
			client := m.Client(func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return present.Load(), nil })
			return contracttest.LiveIssuer{
				Issuer: client, Revocations: client,
				Present: func(c *tls.Certificate) { present.Store(c) },
				Approve: m.Approve, Deny: m.Deny, Remove: m.Remove, Revoke: m.Revoke,
			}
		})
	}
}
