// Package retry says when something is tried again: every delay of the agent,
// and how the record of an activity changes with each attempt.
//
// It is pure: chance is a number in [0,1) that the caller draws, and time is an
// argument.
package retry

import (
	"math"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Shipped gives the delays that ship, by class (docs/SPEC.md, "Delay classes").
// MUSTER_TRANSIENT_MIN and its like replace them.
func Shipped() ports.DelayPolicy {
	return ports.DelayPolicy{
		Transient: ports.Delays{Min: 5 * time.Second, Max: 5 * time.Minute},
		Pending:   ports.Delays{Min: time.Minute, Max: 10 * time.Minute},
		Operator:  ports.Delays{Min: 15 * time.Minute, Max: 6 * time.Hour},
	}
}

// How delays grow and spread (docs/SPEC.md, "Delay classes").
const (
	transientGrowth = 2.0
	pendingGrowth   = 1.5
	operatorGrowth  = 2.0

	// transientFloor is the least share of the first delay that full jitter
	// leaves: 0.2·MIN.
	transientFloor = 0.2
	// spread is the jitter of the patient classes: ±20 %.
	spread = 0.2
	// startFactor: a start may try at once, but not sooner than this many times
	// the first transient delay after an attempt that did not succeed.
	startFactor = 2
	// pollSpread is the jitter of the polling interval: ±10 %.
	pollSpread = 0.1
)

// What servers ask for.
const (
	// retryAfterCap is the longest that a server may ask us to stay away
	// (docs/SPEC.md, "Delay classes"): a wrong header must not strand a machine.
	retryAfterCap = time.Hour
	// RegisterEvery is how often a manager lets an address register
	// (docs/PROTOCOLS.md, "Register"): the wait after a 429 that names none.
	RegisterEvery = time.Minute
)

// Certificates and revocation lists (docs/SPEC.md, "Renewal", "Revocation
// list").
const (
	// LookEvery is how often the certificate files are read while nothing is
	// due, so that the agent notices files placed or damaged by hand. A look
	// costs a millisecond.
	LookEvery = time.Hour
	// crlEvery is how often the revocation list is fetched, unless its
	// nextUpdate comes first.
	crlEvery = 24 * time.Hour
	// crlSpread moves a fetch earlier by up to this share of the wait, so that
	// a fleet does not come at once.
	crlSpread = 0.1
)

// The relay's connection (docs/PROTOCOLS.md, "Relay").
const (
	PingEvery   = 30 * time.Second
	PongWithin  = 10 * time.Second
	StatusEvery = 2 * PingEvery // 60 s
	// ProvenAfter: a connection that lasted this long counts as a success.
	ProvenAfter = time.Minute
	// ObeyPause: the agent obeys each type of frame at most once in this time.
	ObeyPause = time.Hour
	// CloseWithin is how long a normal close waits for the relay's answer.
	CloseWithin = 500 * time.Millisecond
	// RefusedTimes and RefusedSpan: a refusal with a code is believed once it
	// was seen this often over at least this long (docs/PROTOCOLS.md, "A
	// refused handshake").
	RefusedTimes = 3
	RefusedSpan  = 5 * time.Minute
	// RefusedBlocks is how long a refused key counts as connecting before it
	// counts as blocked (docs/SPEC.md, "Overall state").
	RefusedBlocks = 15 * time.Minute
)

// Commands, and the process itself.
const (
	// PersonTries is how often a person's command tries what fails for a
	// passing reason (docs/SPEC.md, "Commands").
	PersonTries = 5
	// AttemptTime is how long an attempt may take that began while the person
	// was patient: two requests (a renewal that is not offered, then a
	// registration) of 30 s each (docs/PROTOCOLS.md, "Rules for every
	// request"), and time to store what they bring.
	AttemptTime = 90 * time.Second
	// Grace is how long a request whose answer comes only once may go on after
	// the agent was told to stop.
	Grace = 400 * time.Millisecond
	// LockEvery is how often a service looks whether the command has ended
	// that holds the lock: a person waits for it, and a look costs
	// microseconds.
	LockEvery = 250 * time.Millisecond
	// HungAfter is how long a task may be at work between two waits before it
	// counts as hung: the longest honest one asks for this host's facts (10 s)
	// and makes a request (30 s); the rest is for a slow disk.
	HungAfter = 3 * time.Minute
	// pieceLeast and pieceMost bound the pieces in which a wait sleeps. Between
	// two pieces it looks at the wall clock: a machine's sleep stops the
	// monotonic one. A piece is a sixtieth of the wait, so that a long wait
	// costs little.
	pieceLeast = 30 * time.Second
	pieceMost  = 10 * time.Minute
	pieces     = 60
)

// of gives the delays of one class.
func of(p ports.DelayPolicy, class ports.DelayClass) ports.Delays {
	switch class {
	case ports.Transient:
		return p.Transient
	case ports.Pending:
		return p.Pending
	case ports.Operator:
		return p.Operator
	}
	return p.Operator // an unknown class, from a damaged record, is treated with the most patience
}

// Wait is the delay after the attempt-th failure in a row of a class (the
// first is 1; less counts as 1), with u in [0,1) for the jitter. The result is
// within [0.2·MIN, MAX] for Transient and [0.8·MIN, 1.2·MAX] for the others.
func Wait(p ports.DelayPolicy, class ports.DelayClass, attempt int, u float64) time.Duration {
	d := of(p, class)
	growth := operatorGrowth
	switch class {
	case ports.Transient:
		return between(transientFloor*float64(d.Min), grown(d, transientGrowth, attempt), u)
	case ports.Pending:
		growth = pendingGrowth
	case ports.Operator:
	}
	present := grown(d, growth, attempt)
	return between((1-spread)*present, (1+spread)*present, u)
}

// PollWait is the polling interval with its jitter, by u in [0,1).
func PollWait(interval time.Duration, u float64) time.Duration {
	return between((1-pollSpread)*float64(interval), (1+pollSpread)*float64(interval), u)
}

// CRLWait is how long after a fetch the next one of a revocation list is due
// whose nextUpdate is given (zero: it names none). It is at least the first
// transient delay before the spread, which u in [0,1) picks.
func CRLWait(p ports.DelayPolicy, nextUpdate, now time.Time, u float64) time.Duration {
	due := crlEvery
	if left := nextUpdate.Sub(now); !nextUpdate.IsZero() && left < due {
		due = max(left, p.Transient.Min)
	}
	return due - time.Duration(u*crlSpread*float64(due))
}

// CRLResume is how long the first fetch of a process must wait: what an earlier
// one planned still holds, as far as it can be.
func CRLResume(planned, now time.Time) time.Duration {
	return min(max(planned.Sub(now), 0), crlEvery)
}

// Piece is how long a wait of d sleeps before it looks at the wall clock.
func Piece(d time.Duration) time.Duration { return min(max(d/pieces, pieceLeast), pieceMost) }

// grown is the delay of an attempt before jitter: MIN·growth^(attempt-1), at
// most MAX.
func grown(d ports.Delays, growth float64, attempt int) float64 {
	present := float64(d.Min) * math.Pow(growth, float64(max(attempt, 1)-1))
	return min(present, float64(d.Max)) // math.Pow overflows to +Inf, which min cuts
}

// between is the point of [low, high] that u in [0,1) picks.
func between(low, high, u float64) time.Duration {
	return time.Duration(low + min(max(u, 0), 1)*(high-low))
}
