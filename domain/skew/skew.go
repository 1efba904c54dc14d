// Package skew says by how much a server's clock differs from this machine's,
// and when that is too much (docs/SPEC.md, "When the clock is wrong").
package skew

import "time"

// Limit is by how much a server's clock may differ from ours before it is
// reported, and before whatever depends on time is judged with care.
const Limit = 5 * time.Minute

// Of is a server's time less ours, in whole seconds, by the Date header of an
// answer that came now. Date is cut to the second: on average the server is
// half a second further.
func Of(date, now time.Time) time.Duration {
	return date.Add(time.Second / 2).Sub(now).Round(time.Second)
}

// TooMuch reports whether a skew exceeds the limit.
func TooMuch(skew time.Duration) bool { return skew.Abs() > Limit }
