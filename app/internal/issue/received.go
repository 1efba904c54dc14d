package issue

import (
	"context"
	"errors"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/ports"
)

// received makes an answer durable, as far as it may hold a certificate, and
// then carries out what it says.
func (k *Keeper) received(ctx context.Context, activity ports.Activity, r ports.Received) Result {
	bundle := ports.ReceivedBundle{Received: r, Issuer: k.url(), ReceivedAt: k.Wall()}
	kept := enrollment.KeepFirst(r)
	if kept {
		k.keep(ctx, bundle)
	}
	decision := k.Issuer.Interpret(r)
	next := enrollment.AfterDecision(decision, k.Name())
	install, issued := next.(enrollment.IssueInstall)
	if issued {
		k.Log.Info(install.Told.Advice, install.Told.Event.Attr())
		if !kept { // a bundle, whatever its size
			k.keep(ctx, bundle)
		}
		return k.install(ctx, activity, k.target(), bundle)
	}
	if kept { // not a bundle, or one that cannot be read
		if err := k.clear(ctx, decision); err != nil {
			return k.notStored(ctx, activity, k.target(), err)
		}
	}
	return k.follow(ctx, activity, next, 0)
}

// clear takes an answer out of the journal that brought no certificate. One
// that cannot be read is set aside: it may have been a bundle after all.
func (k *Keeper) clear(ctx context.Context, decision ports.IssueDecision) error {
	if _, unreadable := decision.(ports.IssueUnreadable); unreadable {
		_, err := k.Journal.RejectBundle(ctx)
		return err
	}
	return k.Journal.EraseBundle(ctx)
}

// keep makes an answer durable, however long that takes: the issuer has
// forgotten it. It gives up only when the agent is told to stop.
func (k *Keeper) keep(ctx context.Context, bundle ports.ReceivedBundle) {
	for attempt := 1; ; attempt++ {
		err := k.Journal.SaveBundle(context.WithoutCancel(ctx), bundle)
		if err == nil {
			return
		}
		pause := k.Attempts.Local(attempt)
		k.Log.Error("a certificate was received but could not be stored: "+err.Error(), attempts.LogAttrs(ports.EventEnrollRetry, pause)...)
		if wait.Sleep(wait.UntilTold(ctx), k.Wall, pause.Wait, nil) != nil {
			return
		}
	}
}

// install installs a bundle that is in the journal, as the end of a step.
func (k *Keeper) install(ctx context.Context, activity ports.Activity, target string, bundle ports.ReceivedBundle) Result {
	if installed, err := k.finish(ctx, bundle); err != nil && !installed {
		return k.notStored(ctx, activity, target, err)
	}
	return Installed{k.Certs.Judgement().NotAfter}
}

// finish installs a bundle that is in the journal.
func (k *Keeper) finish(ctx context.Context, received ports.ReceivedBundle) (installed bool, err error) {
	var bundle ports.Bundle
	switch d := k.interpret(received).(type) {
	case ports.Issued:
		bundle = d.Bundle
	case ports.IssuePending, ports.IssueDenied, ports.IssueUnknown:
		return false, k.Journal.EraseBundle(ctx) // no bundle after all
	case ports.IssueUnreadable:
		return false, k.Certs.RejectBundle(ctx, errors.New(d.Reason))
	}
	if err := k.Certs.Install(ctx, received, bundle); err != nil {
		return false, err
	}
	k.dropRequest()
	k.loaded = true
	j, err := k.Certs.Look(ctx)
	if err != nil {
		return true, err
	}
	name, what := ports.EventCertsInstalled, "a certificate from "+k.Name()+" is installed"
	if received.Renewal || received.Interpreted != nil {
		name, what = ports.EventCertsRenewed, "the certificate is renewed"
	}
	k.Tracker.Update(func(st *ports.Status) {
		st.Issuer = ports.IssuerStatus{State: ports.IssuerStateApproved, Since: k.Wall()}
	})
	k.Certs.LogInstalled(name, what, j)
	for _, activity := range []ports.Activity{ports.ActivityRegister, ports.ActivityPoll, ports.ActivityRenew} {
		attempts.LogUnsaved(k.Log, ports.EventEnrollRetry, k.Attempts.Succeeded(ctx, activity))
	}
	return true, nil
}

// interpret is what a record of the journal says.
func (k *Keeper) interpret(received ports.ReceivedBundle) ports.IssueDecision {
	if received.Interpreted != nil {
		return ports.Issued{Bundle: *received.Interpreted}
	}
	return k.Issuer.Interpret(received.Received)
}
