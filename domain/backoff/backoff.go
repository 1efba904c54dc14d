// Package backoff says how long to wait before something is tried again.
//
// It is pure: chance is a number in [0,1) that the caller draws, and time is an
// argument.
package backoff

import (
	"math"
	"time"

	"github.com/muster-agent/muster/ports"
)

// The numbers of docs/SPEC.md, "Delay classes".
const (
	transientGrowth = 2.0
	pendingGrowth   = 1.5
	operatorGrowth  = 2.0

	// transientFloor is the least share of the first delay that full jitter
	// leaves: 0.2·MIN.
	transientFloor = 0.2
	// spread is the jitter of the patient classes: ±20 %.
	spread = 0.2
)

// Defaults are the delays that ship (docs/SPEC.md, "Delay classes").
func Defaults() ports.DelayPolicy {
	return ports.DelayPolicy{
		Transient: ports.Delays{Min: 5 * time.Second, Max: 5 * time.Minute},
		Pending:   ports.Delays{Min: time.Minute, Max: 10 * time.Minute},
		Operator:  ports.Delays{Min: 15 * time.Minute, Max: 6 * time.Hour},
	}
}

// Of gives the delays of one class.
func Of(p ports.DelayPolicy, class ports.DelayClass) ports.Delays {
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
	d := Of(p, class)
	switch class {
	case ports.Transient:
		low := transientFloor * float64(d.Min)
		return between(low, grown(d, transientGrowth, attempt), u)
	case ports.Pending:
		present := grown(d, pendingGrowth, attempt)
		return between((1-spread)*present, (1+spread)*present, u)
	case ports.Operator:
		present := grown(d, operatorGrowth, attempt)
		return between((1-spread)*present, (1+spread)*present, u)
	}
	present := grown(d, operatorGrowth, attempt)
	return between((1-spread)*present, (1+spread)*present, u)
}

// Ceiling is the longest that Wait returns for a class.
func Ceiling(p ports.DelayPolicy, class ports.DelayClass) time.Duration {
	d := Of(p, class)
	if class == ports.Transient {
		return d.Max
	}
	return time.Duration((1 + spread) * float64(d.Max))
}

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
