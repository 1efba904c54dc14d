package memmanager

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
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

func TestLife(t *testing.T) {
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
