package issue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/certs"
	"github.com/muster-agent/muster/app/internal/identity"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// advance takes the request one step further: it makes it, or asks for the
// operator's decision.
func (k *Keeper) advance(ctx context.Context) Result {
	if err := k.load(ctx); err != nil {
		return k.notStored(ctx, ports.ActivityPoll, k.target(), err)
	}
	if k.Pending() {
		return k.poll(ctx)
	}
	return k.register(ctx)
}

// register makes the request.
func (k *Keeper) register(ctx context.Context) Result {
	const activity = ports.ActivityRegister
	facts, err := k.Host.Describe(ctx, k.Settings.IssuerURL().Hostname())
	if err != nil {
		return k.notStored(ctx, activity, k.target(), err)
	}
	csr, err := k.prepare(ctx, facts)
	if err != nil {
		return k.notStored(ctx, activity, k.target(), fmt.Errorf("nothing was sent, because a certificate could not be stored now: %w", err))
	}
	k.Log.Info("registering at "+k.Name(), ports.EventEnrollAttempt.Attr(), slog.String("fqdn", facts.FQDN), slog.String("ip_address", facts.IPAddress))
	return k.submit(ctx, activity, ports.IssueRequest{
		MachineID: k.machineID(ctx), Host: facts, CSR: csr, IdempotencyKey: k.pending.IdempotencyKey,
	})
}

// prepare makes sure that a crash after the request loses nothing: the
// identity, the private key, the idempotency key and a note of the attempt are
// on disk.
func (k *Keeper) prepare(ctx context.Context, facts ports.HostFacts) (csr []byte, err error) {
	if err := k.Identity.Save(ctx); err != nil {
		return nil, err
	}
	submitted := k.pending.Phase == ports.PhaseSubmitted
	if csr, err = k.Certs.Request(ctx, facts, submitted || k.elsewhere); err != nil {
		return nil, err
	}
	if !submitted {
		k.pending.Phase, k.pending.IdempotencyKey = ports.PhaseSubmitted, identity.NewUUID(k.Random)
		if err := k.save(ctx); err != nil {
			k.dropRequest()
			return nil, err
		}
	}
	return csr, k.Attempts.Begin(ctx, ports.ActivityRegister, k.target())
}

// poll asks for the operator's decision.
func (k *Keeper) poll(ctx context.Context) Result {
	const activity = ports.ActivityPoll
	entry, err := k.Attempts.Entry(ctx, activity, k.target())
	if err == nil {
		err = k.Journal.ReserveBundle(ctx)
	}
	if err == nil && !entry.LastAttempt.IsZero() {
		err = k.Attempts.Begin(ctx, activity, k.target())
	}
	if err != nil {
		return k.notStored(ctx, activity, k.target(), fmt.Errorf("the manager was not asked, because its answer could not be stored now: %w", err))
	}
	return k.submit(ctx, activity, ports.IssueRequest{Resume: k.pending.Resume})
}

// submit sends a request and carries out what follows its answer.
func (k *Keeper) submit(ctx context.Context, activity ports.Activity, r ports.IssueRequest) Result {
	asking, cancel := wait.Grace(ctx)
	answer := k.Issuer.Submit(asking, r)
	cancel()
	k.Skew.Observe(answer.ServerTime)
	next := enrollment.AfterSubmit(answer.Outcome, k.Pending(), k.Name())
	if _, failed := next.(enrollment.IssueFail); failed && ctx.Err() != nil {
		return k.stopped()
	}
	return k.follow(ctx, activity, next, k.Attempts.Asked(answer.RetryAfter, answer.ServerTime))
}

// follow carries out what follows an answer. A failure that ends a request
// whose decision was awaited counts for the polls, not for the registrations:
// one that is taken in resets those, and a manager that takes this host in and
// forgets it again is asked ever more slowly.
func (k *Keeper) follow(ctx context.Context, activity ports.Activity, next enrollment.IssueNext, retryAfter time.Duration) Result {
	switch n := next.(type) {
	case enrollment.IssueAsk:
		return k.registered(ctx, n)
	case enrollment.IssueKeep:
		return k.received(ctx, activity, n.Received)
	case enrollment.IssueInstall:
		panic("issue: a bundle that was not interpreted") // only received makes one
	case enrollment.IssueAwait:
		return k.awaited(ctx, n, retryAfter)
	case enrollment.IssueFail:
		if n.Forget {
			k.dropRequest()
			if err := k.save(ctx); err != nil {
				k.Log.Warn(err.Error(), ports.EventEnrollRetry.Attr())
			}
		}
		if retryAfter == 0 {
			retryAfter = n.RetryAfter
		}
		return k.failed(ctx, activity, k.target(), n, retryAfter)
	}
	panic(fmt.Sprintf("issue: unknown next step %T", next)) // a linter checks that the switch is whole
}

// registered stores the resume value of a request that was taken in.
func (k *Keeper) registered(ctx context.Context, next enrollment.IssueAsk) Result {
	ctx = context.WithoutCancel(ctx) // the resume value comes once
	k.pending = ports.PendingIssue{Issuer: k.url(), Phase: ports.PhasePending, Resume: next.Resume, SubmittedAt: k.Wall()}
	k.Log.Info(next.Told.Advice, next.Told.Event.Attr())
	if err := k.save(ctx); err != nil {
		k.Log.Error("the polling token is in use but could not be stored: "+err.Error(), ports.EventEnrollRetry.Attr())
	}
	attempts.LogUnsaved(k.Log, ports.EventEnrollRetry, k.Attempts.Succeeded(ctx, ports.ActivityRegister))
	k.show(next.Told.State, "", 0)
	return Registered{next.Told}
}

// awaited counts an answer that says that an operator has not decided: only
// such answers count as polls.
func (k *Keeper) awaited(ctx context.Context, next enrollment.IssueAwait, retryAfter time.Duration) Result {
	attempts.LogUnsaved(k.Log, ports.EventEnrollRetry, k.Attempts.Succeeded(ctx, ports.ActivityPoll))
	result := Awaited{Told: next.Told, Pause: retry.Pause{Class: ports.Pending, Attempt: k.pending.Polls + 1}}
	k.pending.Polls, result.RoundOver = enrollment.Round(k.pending.Polls, k.Settings.MaxPollAttempts)
	if result.RoundOver {
		result.Pause.Wait = retry.Wait(k.Settings.Delays, ports.Pending, 1, k.Attempts.Chance())
	} else {
		result.Pause.Wait = retry.PollWait(k.Settings.PollingInterval, k.Attempts.Chance())
	}
	result.Pause.Wait = retry.After(result.Pause.Wait, retryAfter, k.Attempts.Chance())
	if err := k.save(ctx); err != nil {
		k.Log.Warn(err.Error(), ports.EventEnrollRetry.Attr())
	}
	k.show(next.Told.State, "", result.Pause.Wait)
	k.Log.Info(next.Told.Advice, attempts.LogAttrs(next.Told.Event, result.Pause)...)
	return result
}

// notStored reports an error of the store or of an installation.
func (k *Keeper) notStored(ctx context.Context, activity ports.Activity, target string, err error) Result {
	next := enrollment.Passing(err.Error())
	if errors.Is(err, certs.ErrBundleRefused) && activity != ports.ActivityRenew {
		next = enrollment.Refused(err, k.Name())
	}
	if next.Forget {
		k.dropRequest()
	}
	return k.failed(ctx, activity, target, next, 0)
}

// failed notes a failure, shows it and says how long to wait. target is what
// the activity's counts belong to: a renewal's to the certificate.
func (k *Keeper) failed(ctx context.Context, activity ports.Activity, target string, next enrollment.IssueFail, retryAfter time.Duration) Result {
	told := next.Told
	pause, err := k.Attempts.Failed(ctx, activity, target, retry.Failure{Class: next.Class, State: string(told.State), Text: told.Advice, RetryAfter: retryAfter})
	delete(k.notBefore, activity)
	if retryAfter > 0 {
		k.setNotBefore(activity, pause.Wait)
	}
	attempts.LogUnsaved(k.Log, ports.EventEnrollRetry, err)
	k.show(told.State, told.Advice, pause.Wait)
	k.Log.Warn(told.Advice, attempts.LogAttrs(told.Event, pause)...)
	return Failed{told, pause}
}
