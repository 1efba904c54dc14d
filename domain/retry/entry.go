package retry

import (
	"maps"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Pause is the wait that follows an attempt: how long, of which class, and
// which attempt in a row of that class it follows.
type Pause struct {
	Wait    time.Duration
	Class   ports.DelayClass
	Attempt int
}

// Failure is how an attempt ended without success.
type Failure struct {
	Class ports.DelayClass
	State string
	Text  string
	// RetryAfter is the wait that the server asked for; 0 if none.
	RetryAfter time.Duration
	// Refusal replaces what is counted of the relay's refusals, unless nil.
	Refusal *ports.Refusal
}

// Begin is an entry once an attempt is about to be made. Until its end is
// known, the attempt counts as one more like the one before.
func Begin(e ports.RetryEntry, now time.Time) ports.RetryEntry {
	e.Attempts = counts(e.Attempts)
	e.LastAttempt = now
	e.Attempts[classOf(e)]++
	return e
}

// Fail is an entry once an attempt has failed, and the wait that follows. begun
// says that Begin counted this attempt. The draws u and v in [0,1) are for the
// jitter of the class's wait and for that of a Retry-After.
func Fail(e ports.RetryEntry, f Failure, p ports.DelayPolicy, begun bool, now time.Time, u, v float64) (ports.RetryEntry, Pause) {
	e.Attempts = counts(e.Attempts)
	if begun {
		e.Attempts[classOf(e)]--
	}
	e.Attempts[f.Class]++
	pause := Pause{Class: f.Class, Attempt: e.Attempts[f.Class]}
	pause.Wait = After(Wait(p, f.Class, pause.Attempt, u), f.RetryAfter, v)
	e.LastAttempt = now // it is over now, and the next one is counted from here
	e.NotBefore = time.Time{}
	if f.RetryAfter > 0 {
		e.NotBefore = now.Add(pause.Wait)
	}
	e.Class, e.State, e.LastError = f.Class, f.State, f.Text
	e.Next = now.Add(pause.Wait)
	if e.Since.IsZero() {
		e.Since = now
	}
	if f.Refusal != nil {
		e.Refusal = *f.Refusal
	}
	return e, pause
}

// Resumed is the wait that a process begins with because of what an earlier one
// met.
func Resumed(e ports.RetryEntry, wait time.Duration) Pause {
	class := classOf(e)
	return Pause{Wait: wait, Class: class, Attempt: e.Attempts[class]}
}

// Asker is who wants an activity's next attempt.
type Asker int

// The askers.
const (
	// Start: a process that has just begun, for a site enrollment, a
	// registration or a revocation list.
	Start Asker = iota
	// Reconnect: a process that has just begun, for an attempt that a restart
	// does not hold back (the relay, a poll, a renewal).
	Reconnect
	// Person: somebody at a keyboard.
	Person
)

// NotBefore says how long the first attempt of a process must still wait, given
// what is remembered of the activity: neither a crash loop nor a reboot asks
// more often. A server's Retry-After holds back every asker; the moment of the
// last attempt holds back Start alone.
//
// A remembered time further ahead than it can be, because a clock was wrong
// then or is wrong now, counts as the longest that it can be.
func NotBefore(e ports.RetryEntry, p ports.DelayPolicy, asker Asker, now time.Time) time.Duration {
	asked := remaining(e.NotBefore, now, retryAfterMost)
	if asker != Start || e.LastAttempt.IsZero() {
		return asked
	}
	pause := startFactor * p.Transient.Min
	return max(asked, remaining(e.LastAttempt.Add(pause), now, pause))
}

// MayObey reports whether a frame may be obeyed that was last obeyed then. A
// time in the future, from a clock that was ahead, does not count.
func MayObey(last, now time.Time) bool {
	return last.IsZero() || last.After(now) || now.Sub(last) >= ObeyPause
}

func remaining(deadline, now time.Time, most time.Duration) time.Duration {
	if deadline.IsZero() {
		return 0
	}
	return min(max(deadline.Sub(now), 0), most)
}

// classOf is the class under which an attempt counts until it is over.
func classOf(e ports.RetryEntry) ports.DelayClass {
	if e.Class == "" {
		return ports.Transient
	}
	return e.Class
}

// counts is a copy that can be changed.
func counts(of map[ports.DelayClass]int) map[ports.DelayClass]int {
	if of == nil {
		return map[ports.DelayClass]int{}
	}
	return maps.Clone(of)
}
