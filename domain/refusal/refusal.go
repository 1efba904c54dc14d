// Package refusal decides what follows when the relay refuses the key. A
// refused credential is never thrown away: a 401 says only that this server,
// now, does not know the key (docs/SPEC.md, "When the relay
// refuses the key").
package refusal

import (
	"time"

	"github.com/muster-agent/muster/ports"
)

const (
	// codedTimes and codedSpan: a coded refusal is believed once it was seen
	// this often over at least this long (docs/PROTOCOLS.md, "A refused
	// handshake").
	codedTimes = 3
	codedSpan  = 5 * time.Minute

	// blockedAfter is how long a refusal counts as connecting before it counts
	// as blocked (docs/SPEC.md, "Relay").
	blockedAfter = 15 * time.Minute
)

// Verdict is what follows a refusal.
type Verdict int

// The verdicts. Whatever it is, the key stays stored and in use.
const (
	// Retry the key, class transient.
	Retry Verdict = iota
	// RetryAndTryEnrolling: retry the key, and try site enrollment once per
	// operator wait.
	RetryAndTryEnrolling
	// EnrollAgain: retry the key and enroll until a new one is stored.
	EnrollAgain
	// Revoked: an operator's decision. Retry the key, class operator; no
	// enrollment.
	Revoked
)

// Count adds a refusal to what is remembered. With the clock skewed it counts
// for nothing and r is returned as it is.
func Count(r ports.Refusal, code string, skewed bool, now time.Time) ports.Refusal {
	if skewed {
		return r
	}
	if r.Since.IsZero() || r.Since.After(now) { // after: remembered from a clock that was ahead
		r.Since = now
	}
	if r.Count == 0 || r.Code != code || r.CodeSince.After(now) {
		r.Code, r.Count, r.CodeSince = code, 0, now
	}
	r.Count++
	return r
}

// Decide says what follows from what is remembered. reenrollAfter is how long
// refusals without a code are borne before site enrollment is tried; 0 is for
// ever.
func Decide(r ports.Refusal, reenrollAfter time.Duration, now time.Time) Verdict {
	believed := r.Count >= codedTimes && now.Sub(r.CodeSince) >= codedSpan
	switch {
	case r.Count == 0:
		return Retry
	case r.Code == ports.RefusedCredentialRevoked && believed:
		return Revoked
	case r.Code == ports.RefusedUnknownAgent && believed:
		return EnrollAgain
	case r.Code == "" && reenrollAfter > 0 && now.Sub(r.Since) > reenrollAfter:
		return RetryAndTryEnrolling
	default:
		return Retry
	}
}

// Blocks reports whether a relay that has refused the key since then counts as
// blocked rather than as connecting.
func Blocks(since, now time.Time) bool {
	return !since.IsZero() && now.Sub(since) > blockedAfter
}
