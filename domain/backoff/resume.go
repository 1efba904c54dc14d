package backoff

import (
	"time"

	"github.com/muster-agent/muster/ports"
)

// startFactor: a start may try at once, but not sooner than this many times the
// first transient delay after an attempt that did not succeed (docs/SPEC.md,
// "Stop and restart").
const startFactor = 2

// Resume says how long an attempt must still wait after a start of the
// process, given what is remembered of the activity: neither a crash loop nor
// a reboot asks more often. heldBack is true for site enrollment and
// registration; person is true when somebody at a keyboard asked, who is held
// back by a server's Retry-After only.
//
// A remembered time further ahead than it can be, because a clock was wrong
// then or is wrong now, counts as the longest that it can be.
func Resume(p ports.DelayPolicy, e ports.RetryEntry, heldBack, person bool, now time.Time) time.Duration {
	asked := remaining(e.NotBefore, now, retryAfterMost)
	if !heldBack || person || e.LastAttempt.IsZero() {
		return asked
	}
	pause := startFactor * p.Transient.Min
	return max(asked, remaining(e.LastAttempt.Add(pause), now, pause))
}

func remaining(deadline, now time.Time, most time.Duration) time.Duration {
	if deadline.IsZero() {
		return 0
	}
	return min(max(deadline.Sub(now), 0), most)
}
