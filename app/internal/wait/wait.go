// Package wait sleeps by two clocks, and knows which of the agent's tasks are
// at work and which are waiting.
package wait

import (
	"context"
	"time"

	"github.com/muster-agent/muster/domain/retry"
)

// Sleep returns after d, at the earlier of its end on the wall clock and on the
// monotonic one, so that neither a machine's sleep nor a clock set back
// stretches it; or as soon as wake is closed or sent to, or ctx is done. It
// returns ctx's error.
func Sleep(ctx context.Context, wall func() time.Time, d time.Duration, wake <-chan struct{}) error {
	_, err := SleepOrWake(ctx, wall, d, wake)
	return err
}

// SleepOrWake is Sleep for a caller who needs to know whether it was woken.
func SleepOrWake(ctx context.Context, wall func() time.Time, d time.Duration, wake <-chan struct{}) (woken bool, err error) {
	defer Idle(ctx)()
	deadline := After(d, wall)
	for {
		left := deadline.Left(wall)
		if left <= 0 {
			return false, ctx.Err()
		}
		timer := time.NewTimer(min(left, retry.Piece(d)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		case <-wake:
			timer.Stop()
			return true, ctx.Err()
		case <-timer.C:
		}
	}
}

// For returns once happened is closed or sent to, or ctx is done, with ctx's
// error.
func For(ctx context.Context, happened <-chan struct{}) error {
	defer Idle(ctx)()
	select {
	case <-ctx.Done():
	case <-happened:
	}
	return ctx.Err()
}

// Deadline is a moment on both clocks; whichever comes first ends the wait.
type Deadline struct{ monotonic, wall time.Time }

// After is the deadline that lies d ahead.
func After(d time.Duration, wall func() time.Time) Deadline {
	return Deadline{time.Now().Add(d), wall().Add(d)}
}

// Left is how long it is until the deadline; it may be negative.
func (d Deadline) Left(wall func() time.Time) time.Duration {
	return min(time.Until(d.monotonic), d.wall.Sub(wall()))
}

// Grace is a context for a request whose answer comes only once: it ends a
// moment after ctx (retry.Grace).
func Grace(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(retry.Grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// Attempt is a context for one attempt of a person's command. It ends with
// limited, but not before the attempt has had its time (retry.AttemptTime),
// unless ctx ends, which means that the command is told to stop.
func Attempt(ctx, limited context.Context) (context.Context, context.CancelFunc) {
	least := time.Now().Add(retry.AttemptTime)
	if end, ok := limited.Deadline(); ok && end.After(least) {
		least = end
	}
	return context.WithDeadline(context.WithValue(ctx, toldKey{}, ctx), least)
}

type toldKey struct{}

// UntilTold is ctx, or, of an attempt, the context that ends only when the
// command is told to stop.
func UntilTold(ctx context.Context) context.Context {
	if told, ok := ctx.Value(toldKey{}).(context.Context); ok {
		return told
	}
	return ctx
}
