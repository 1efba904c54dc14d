package app

import (
	"context"
	"fmt"

	"github.com/muster-agent/muster/app/internal/issue"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// RenewCertificates checks the certificate and renews it if that is due, once;
// it never waits for an operator. It tells the person what happens.
func RenewCertificates(ctx context.Context, d Deps, say func(string)) ports.RenewEnd {
	a := New(d)
	if d.Issuer != nil {
		if err := a.identity.Settle(ctx); err != nil {
			say(err.Error())
			return ports.RenewFailed
		}
	}
	for tries := 1; ; tries++ {
		result := a.issue.Reconcile(ctx, false, retry.Person)
		told := issue.Told(result)
		say(told.Line)
		if !passing(result, a.tracker.Snapshot().Issuer.State) || tries == retry.PersonTries || ctx.Err() != nil {
			return told.End
		}
		say(fmt.Sprintf("Trying again in %s.", retry.Text(issue.Wait(result))))
		if wait.Sleep(ctx, d.Wall, issue.Wait(result), nil) != nil {
			return told.End
		}
	}
}

// passing reports whether time heals a failure.
func passing(r issue.Result, state ports.IssuerState) bool {
	switch r := r.(type) {
	case issue.Failed:
		return r.Told.State == ports.IssuerStateRetrying
	case issue.HeldBack:
		return !r.Pending && state == ports.IssuerStateRetrying
	case issue.Valid, issue.Installed, issue.Registered, issue.Awaited, issue.NotYetValid, issue.ByHand, issue.Stopped:
	}
	return false
}
