package ports

import "time"

// DelayClass says how patiently something is tried again.
type DelayClass string

// The classes, in order of patience.
const (
	Transient DelayClass = "transient" // time heals it
	Pending   DelayClass = "pending"   // an operator will decide
	Operator  DelayClass = "operator"  // an operator must change something
)

// Delays bound the waits of one class: the first delay and the ceiling before
// jitter. 10 ms ≤ Min ≤ Max.
type Delays struct{ Min, Max time.Duration }

// DelayPolicy is the delays of each class.
type DelayPolicy struct{ Transient, Pending, Operator Delays }

// Activity is something that is tried again on its own schedule.
type Activity string

// The activities.
const (
	ActivitySite     Activity = "site"
	ActivityRegister Activity = "register"
	ActivityPoll     Activity = "poll"
	ActivityRenew    Activity = "renew"
	ActivityCRL      Activity = "crl"
	ActivityRelay    Activity = "relay"
)

// RetryRecord is what must survive a restart, so that neither a crash loop
// nor a reboot makes the agent ask more often or forget how long it has been
// refused.
type RetryRecord struct {
	Activities map[Activity]RetryEntry
	// Obeyed is when a relay frame that may be obeyed once an hour last was,
	// by the frame's type.
	Obeyed map[string]time.Time
}

// Of is how an activity stands for a target; another target starts from
// nothing.
func (r RetryRecord) Of(activity Activity, target string) RetryEntry {
	if e := r.Activities[activity]; e.Target == target {
		return e
	}
	return RetryEntry{Target: target}
}

// RetryEntry is how one activity stands since its last success.
type RetryEntry struct {
	// Target is a digest of what is asked (URL, site, key): a changed
	// configuration starts from nothing.
	Target string
	// Attempts since the last success, by the class of their outcome. An
	// attempt is counted before it is made, under the class of the one before
	// it (at first Transient), and moved to its own class when it is over.
	Attempts map[DelayClass]int
	// LastAttempt is when the newest attempt was begun, or, once it is over,
	// when it ended; zero if it succeeded.
	LastAttempt time.Time
	// NotBefore is the time before which a server's Retry-After forbids another
	// attempt; zero if none does.
	NotBefore time.Time
	// Next is when the next attempt is due; zero if none is waited for.
	Next time.Time
	// Class of the newest outcome.
	Class DelayClass
	// Since is when the first failure after the last success was.
	Since time.Time
	// State and LastError are the newest failure in words, for status; no
	// secrets.
	State     string
	LastError string
	// Refusal counts the relay's refusals of the key.
	Refusal Refusal
}

// Refusal is since when and with which code the relay has refused the key.
type Refusal struct {
	Since     time.Time // first refusal after the last success; zero if none
	Code      string    // the code of the newest refusal, "" without one
	Count     int       // how often in a row with this code
	CodeSince time.Time // when it was first seen in this row
}
