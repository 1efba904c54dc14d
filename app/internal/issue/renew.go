package issue

import (
	"context"
	"errors"
	"fmt"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// renew asks the issuer for another certificate with the present one. offered
// is false where the issuer does not renew by itself.
func (k *Keeper) renew(ctx context.Context) (result Result, offered bool) {
	const activity = ports.ActivityRenew
	target := retry.CertificateTarget(k.Certs.Leaf())
	fail := func(reason string) (Result, bool) {
		return k.failed(ctx, activity, target, enrollment.Passing(reason), 0), true
	}
	facts, err := k.Host.Describe(ctx, k.Settings.IssuerURL().Hostname())
	if err != nil {
		return fail(err.Error())
	}
	csr, err := k.Certs.Request(ctx, facts, false)
	if err == nil {
		err = errors.Join(k.Journal.ReserveBundle(ctx), k.Attempts.Begin(ctx, activity, target))
	}
	if err != nil {
		return fail(fmt.Sprintf("nothing was sent, because a certificate could not be stored now: %v", err))
	}
	k.Log.Info("asking "+k.Name()+" to renew the certificate", ports.EventEnrollAttempt.Attr())
	asking, cancel := wait.Grace(ctx)
	answer := k.Issuer.Renew(asking, csr)
	cancel()
	k.Skew.Observe(answer.ServerTime)
	switch o := answer.Outcome.(type) {
	case ports.IssueReceived:
		return k.renewed(ctx, target, o.Received), true
	case ports.RenewNotOffered:
		k.Log.Info(fmt.Sprintf("%s does not renew by itself (status %d): registering, the present certificate stays in use", k.Name(), o.Status), ports.EventEnrollRetry.Attr())
		_, err := k.Attempts.Failed(ctx, activity, target, retry.Failure{Class: ports.Operator, State: notOffered, Text: "not offered"})
		attempts.LogUnsaved(k.Log, ports.EventEnrollRetry, err)
		return nil, false
	case ports.Unavailable:
		if ctx.Err() != nil {
			return k.stopped(), true
		}
		retryAfter := k.Attempts.Asked(answer.RetryAfter, answer.ServerTime)
		return k.failed(ctx, activity, target, enrollment.Passing(o.Reason), retryAfter), true
	}
	panic(fmt.Sprintf("issue: unknown outcome %T of a renewal", answer.Outcome)) // a linter checks that the switch is whole
}

// renewed installs the certificate that a renewal brought.
func (k *Keeper) renewed(ctx context.Context, target string, r ports.Received) Result {
	bundle := ports.ReceivedBundle{Received: r, Issuer: k.url(), ReceivedAt: k.Wall()}
	k.keep(ctx, bundle)
	decision := k.Issuer.Interpret(r)
	if _, issued := decision.(ports.Issued); issued {
		return k.install(ctx, ports.ActivityRenew, target, bundle)
	}
	reason := "the answer of " + k.Name() + " to a renewal brings no certificate"
	if unreadable, ok := decision.(ports.IssueUnreadable); ok {
		reason = unreadable.Reason
	}
	if err := k.clear(ctx, decision); err != nil {
		reason = err.Error()
	}
	return k.failed(ctx, ports.ActivityRenew, target, enrollment.Passing(reason), 0)
}

// notOffered marks, in the retry record, a certificate that the issuer does
// not renew: the next one is asked about again.
const notOffered = "not_offered"

// renewalOffered reports whether the issuer has not yet said that it does not
// renew the present certificate.
func (k *Keeper) renewalOffered(ctx context.Context) bool {
	entry, err := k.Attempts.Entry(ctx, ports.ActivityRenew, retry.CertificateTarget(k.Certs.Leaf()))
	return err != nil || entry.State != notOffered
}
