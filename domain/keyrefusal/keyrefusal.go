// Package keyrefusal decides what follows when the relay refuses the key. A
// refused credential is never thrown away: a 401 says only that this server,
// now, does not know the key (docs/PROTOCOLS.md, "A refused handshake").
package keyrefusal

import (
	"time"

	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Verdict is what a refusal means. Whatever it is, the key stays stored and in
// use.
type Verdict int

// The verdicts.
const (
	// Retry the key.
	Retry Verdict = iota
	// RetryAndTryEnrolling: retry the key, and try site enrollment once per
	// operator wait.
	RetryAndTryEnrolling
	// EnrollAgain: retry the key and enroll until a new one is stored.
	EnrollAgain
	// Revoked: an operator's decision. Retry the key; no enrollment.
	Revoked
)

// Next is what follows a refusal.
type Next struct {
	Verdict Verdict
	Class   ports.DelayClass // of the wait before the key is tried again
	Advice  string           // part of a sentence for a person
}

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

// Decide says what follows from the refusals that are remembered.
// reenrollAfter is how long refusals without a code are borne before site
// enrollment is tried; 0 is for ever. skewed says that the newest counted for
// nothing. missing is what a site enrollment lacks; empty if one can be made.
func Decide(r ports.Refusal, reenrollAfter time.Duration, skewed bool, missing string, now time.Time) Next {
	const kept = "the key is kept and tried again"
	next := Next{Verdict: verdict(r, reenrollAfter, now), Class: ports.Transient}
	switch next.Verdict {
	case Retry:
		next.Advice = kept
		if skewed {
			next.Advice = "this machine's clock and the server's differ, so this counts for nothing; " + kept
		}
		return next
	case RetryAndTryEnrolling:
		next.Advice = kept + "; since it has been refused for so long, enrollment is tried beside it"
	case EnrollAgain:
		next.Advice = "the server does not know this machine: enrolling again; the key is kept until there is a new one"
	case Revoked:
		next.Class = ports.Operator
		next.Advice = "an operator revoked this machine's key: unless that was a mistake to be undone at the server, stop the service and run 'muster enroll --force' to enroll this machine again"
		return next
	}
	if missing != "" {
		next.Advice = kept + "; a new one cannot be asked for: " + missing
	}
	return next
}

func verdict(r ports.Refusal, reenrollAfter time.Duration, now time.Time) Verdict {
	believed := r.Count >= retry.RefusedTimes && now.Sub(r.CodeSince) >= retry.RefusedSpan
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
	return !since.IsZero() && now.Sub(since) > retry.RefusedBlocks
}
