package issue

import (
	"context"
	"time"

	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Run keeps this host's certificate valid for as long as ctx lasts.
func (k *Keeper) Run(ctx context.Context) {
	registered := false // with force: the certificate alone does not ask for it
	for ctx.Err() == nil {
		force, asked := k.Wanted.take()
		force = force || registered
		result := k.Reconcile(ctx, force, retry.Start)
		registered = force && k.Pending()
		for _, answer := range asked {
			answer <- result
		}
		if k.awaitChange(ctx, Wait(result)) != nil {
			return
		}
	}
}

// awaitChange waits, and shows meanwhile what time makes of the certificate.
func (k *Keeper) awaitChange(ctx context.Context, d time.Duration) error {
	deadline := time.Now().Add(d)
	wasGood := stepFor(k.Certs.Judgement()) == enrollment.CareNone
	for {
		piece := min(time.Until(deadline), k.Certs.Judgement().UntilChange(k.Wall(), retry.LookEvery))
		woken, err := wait.SleepOrWake(ctx, k.Wall, piece, k.Wanted.wake)
		if err != nil || woken || time.Until(deadline) <= 0 {
			return err
		}
		j, err := k.Certs.Look(ctx)
		if err != nil {
			return err
		}
		if wasGood && stepFor(j) != enrollment.CareNone {
			return nil
		}
	}
}

// stepFor is what a judgement asks for, whatever the issuer offers.
func stepFor(j cert.Judgement) enrollment.Care {
	return enrollment.CareFor(j.Status, j.ClockProblem, true)
}

// Reconcile looks at the certificate and does the one next thing that it needs.
// With force that is a renewal, even of a certificate that is not due.
func (k *Keeper) Reconcile(ctx context.Context, force bool, asker retry.Asker) Result {
	if k.Issuer != nil {
		if err := k.resume(ctx); err != nil { // finish what a crash interrupted
			if _, lookErr := k.Certs.Look(ctx); lookErr != nil { // the present certificate serves all the same
				return k.stopped()
			}
			return k.notStored(ctx, ports.ActivityPoll, k.target(), err)
		}
	}
	j, err := k.Certs.Look(ctx)
	if err != nil {
		return k.stopped()
	}
	if k.Issuer == nil {
		return ByHand{j}
	}
	step := enrollment.CareFor(j.Status, j.ClockProblem, k.renewalOffered(ctx))
	if force && step == enrollment.CareNone {
		step = enrollment.CareRenew
	}
	switch step {
	case enrollment.CareNone:
		k.approved()
		return Valid{j.NotAfter, j.RenewAt, max(j.RenewAt.Sub(k.Wall()), time.Millisecond)}
	case enrollment.CareClock:
		k.approved()
		return NotYetValid{j.Detail, k.Attempts.Local(1).Wait}
	case enrollment.CareRenew:
		if !k.Pending() {
			if pause := k.renewalHeldBack(ctx); pause > 0 {
				return HeldBack{k.Name(), pause, k.Pending()}
			}
			if result, offered := k.renew(ctx); offered {
				return result
			}
		}
	case enrollment.CareRegister:
	}
	if pause := k.requestHeldBack(ctx, asker); pause > 0 {
		return HeldBack{k.Name(), pause, k.Pending()}
	}
	return k.advance(ctx)
}

// stopped is the result of a step that ctx's end has interrupted.
func (k *Keeper) stopped() Stopped { return Stopped{k.Pending()} }

// approved shows that there is a certificate and nothing to be done.
func (k *Keeper) approved() {
	k.Tracker.Update(func(st *ports.Status) {
		if st.Issuer.State != ports.IssuerStateApproved {
			st.Issuer = ports.IssuerStatus{State: ports.IssuerStateApproved, Since: k.Wall()}
		}
	})
}
