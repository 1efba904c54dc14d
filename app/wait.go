package app

import (
	"context"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/ports"
)

// A wait sleeps in pieces and looks at the wall clock between them: a machine's
// sleep stops the monotonic clock, and the wall clock then tells. A piece is a
// sixtieth of the wait within these bounds, so that a long wait costs little.
const (
	shortestPiece = 30 * time.Second
	longestPiece  = 10 * time.Minute
)

// wait returns after d, at the earlier of its end on the wall clock and on the
// monotonic one, so that neither a machine's sleep nor a clock set back
// stretches it; or as soon as wake is closed or sent to, or ctx is done. It
// returns ctx's error.
func wait(ctx context.Context, wall func() time.Time, d time.Duration, wake <-chan struct{}) error {
	_, err := waitOrWake(ctx, wall, d, wake)
	return err
}

// waitOrWake is wait for a caller who needs to know whether it was woken.
func waitOrWake(ctx context.Context, wall func() time.Time, d time.Duration, wake <-chan struct{}) (woken bool, err error) {
	defer resting(ctx)()
	start := time.Now()
	deadline := wall().Add(d)
	piece := min(max(d/60, shortestPiece), longestPiece)
	for {
		left := min(d-time.Since(start), deadline.Sub(wall()))
		if left <= 0 {
			return false, ctx.Err()
		}
		timer := time.NewTimer(min(left, piece))
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

// grace is how long a request whose answer comes only once may go on after the
// agent was told to stop.
const grace = 400 * time.Millisecond

// outlasting is a context for such a request: it ends a grace after ctx.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// transientWait is a wait of class transient for something local, which is not
// remembered over a restart.
func (a *Agent) transientWait(attempt int) time.Duration {
	return backoff.Wait(a.w.Settings.Delays, ports.Transient, attempt, a.w.Chance())
}
