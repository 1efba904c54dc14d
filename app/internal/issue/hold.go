package issue

import (
	"cmp"
	"context"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// setNotBefore makes an activity wait for d.
func (k *Keeper) setNotBefore(activity ports.Activity, d time.Duration) {
	if k.notBefore == nil {
		k.notBefore = map[ports.Activity]wait.Deadline{}
	}
	k.notBefore[activity] = wait.After(d, k.Wall)
}

// left is how long an activity must still wait; it may be negative.
func (k *Keeper) left(activity ports.Activity) time.Duration {
	deadline, ok := k.notBefore[activity]
	if !ok {
		return 0
	}
	return deadline.Left(k.Wall)
}

// renewalHeldBack is how long a renewal must wait for the Retry-After of an
// earlier one, of an earlier process too.
func (k *Keeper) renewalHeldBack(ctx context.Context) time.Duration {
	if _, ok := k.notBefore[ports.ActivityRenew]; !ok {
		entry, err := k.Attempts.Entry(ctx, ports.ActivityRenew, retry.CertificateTarget(k.Certs.Leaf()))
		if err != nil {
			k.Log.Warn(err.Error(), ports.EventEnrollRetry.Attr())
		}
		pause := retry.NotBefore(entry, k.Settings.Delays, retry.Reconnect, k.Wall())
		k.setNotBefore(ports.ActivityRenew, pause)
		if pause > 0 {
			k.Tracker.Update(func(st *ports.Status) {
				st.Issuer = ports.IssuerStatus{State: ports.IssuerState(entry.State), Since: entry.Since, LastError: entry.LastError, NextAttempt: k.Wall().Add(pause)}
			})
			attempts.LogHeldBack(k.Log, ports.EventEnrollRetry, k.Name(), retry.Resumed(entry, pause))
		}
	}
	return k.left(ports.ActivityRenew)
}

// requestHeldBack is how long the next step of a request must wait because of a
// Retry-After, or of an earlier process's attempts. It shows what that process
// met, since it still stands.
func (k *Keeper) requestHeldBack(ctx context.Context, asker retry.Asker) time.Duration {
	if err := k.load(ctx); err != nil {
		return 0 // advance meets the same error and reports it
	}
	next := ports.ActivityRegister
	if k.Pending() {
		next = ports.ActivityPoll
	}
	if !k.resumed {
		k.resumed = true
		k.setNotBefore(next, k.resumedPause(ctx, asker))
	}
	return k.left(next)
}

// resumedPause is how long the first step of this process must wait.
func (k *Keeper) resumedPause(ctx context.Context, asker retry.Asker) time.Duration {
	register, err := k.Attempts.Entry(ctx, ports.ActivityRegister, k.target())
	poll, pollErr := k.Attempts.Entry(ctx, ports.ActivityPoll, k.target())
	if err = cmp.Or(err, pollErr); err != nil {
		k.Log.Warn(err.Error(), ports.EventEnrollRetry.Attr())
	}
	person := asker == retry.Person
	if k.Pending() && !person {
		asker = retry.Reconnect
	}
	pause := retry.NotBefore(poll, k.Settings.Delays, asker, k.Wall())
	if !k.Pending() { // after a registration that failed, or that a poll ended
		pause = max(pause, retry.NotBefore(register, k.Settings.Delays, asker, k.Wall()))
	}
	if person {
		return pause
	}
	last := enrollment.LastFailure(k.pending, register, poll)
	if last.State != "" {
		k.Tracker.Update(func(st *ports.Status) {
			st.Issuer = ports.IssuerStatus{State: ports.IssuerState(last.State), Polls: k.pending.Polls, Since: last.Since, LastError: last.LastError}
			if pause > 0 {
				st.Issuer.NextAttempt = k.Wall().Add(pause)
			}
		})
	}
	if pause > 0 {
		attempts.LogHeldBack(k.Log, ports.EventEnrollRetry, k.Name(), retry.Resumed(last, pause))
	}
	return pause
}
