package app

import (
	"context"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/ports"
)

// waitPiece is the longest a wait sleeps without looking at the wall clock: a
// machine's sleep stops the monotonic clock, and the wall clock then tells.
const waitPiece = 30 * time.Second

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
	start := time.Now()
	deadline := wall().Add(d)
	for {
		left := min(d-time.Since(start), deadline.Sub(wall()))
		if left <= 0 {
			return false, ctx.Err()
		}
		timer := time.NewTimer(min(left, waitPiece))
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

// transientWait is a wait of class transient for something local, which is not
// remembered over a restart.
func (a *Agent) transientWait(attempt int) time.Duration {
	return backoff.Wait(a.w.Settings.Delays, ports.Transient, attempt, a.w.Chance())
}
