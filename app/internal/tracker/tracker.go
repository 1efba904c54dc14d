// Package tracker holds how the agent stands.
package tracker

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/health"
	"github.com/muster-agent/muster/ports"
)

// Tracker is the status of the agent: every part of it writes there, and
// everyone who asks is answered from there. It is safe for concurrent use.
type Tracker struct {
	wall      func() time.Time
	notify    func(sentence string)
	threshold time.Duration // see health.Overall

	mu       sync.Mutex
	status   ports.Status
	waiting  string            // what is waited for before anything is done
	blocked  map[string]string // what a person must do, by the part that needs it
	sentence string
	closed   bool
}

// New returns a tracker. notify gets the one-line summary whenever it changes.
// threshold is how long before its end a certificate that the issuer does not
// renew becomes an operator's matter.
func New(initial ports.Status, threshold time.Duration, wall func() time.Time, notify func(sentence string)) *Tracker {
	return &Tracker{wall: wall, notify: notify, threshold: threshold, status: initial, blocked: map[string]string{}}
}

// Update changes the status in one step.
func (t *Tracker) Update(change func(*ports.Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.status)
	t.changed()
}

// SetBlocked says that part needs a person, who is told what to do; an empty
// advice takes it back.
func (t *Tracker) SetBlocked(part, advice string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if advice == "" {
		delete(t.blocked, part)
	} else {
		t.blocked[part] = advice
	}
	t.changed()
}

// SetWaiting says what is waited for before anything else can be done; an empty
// text says that the wait is over.
func (t *Tracker) SetWaiting(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = text
	t.changed()
}

// Close ends the notifications: what the parts meet while they end is no news.
func (t *Tracker) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// Snapshot is the status as it stands now.
func (t *Tracker) Snapshot() ports.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.whole()
}

// whole derives the overall state. The caller holds mu.
func (t *Tracker) whole() ports.Status {
	s := t.status
	advice := make([]string, 0, len(t.blocked))
	for _, part := range slices.Sorted(maps.Keys(t.blocked)) {
		advice = append(advice, t.blocked[part])
	}
	s.Blocked = strings.Join(advice, "; ")
	if t.waiting != "" {
		s.Site.LastError, s.Issuer.LastError, s.Relay.LastError = t.waiting, t.waiting, t.waiting
	}
	s.State = health.Overall(s, t.threshold, t.wall())
	return s
}

// changed notifies, if there is something new to tell. The caller holds mu, so
// that the notifications come in order.
func (t *Tracker) changed() {
	sentence := t.waiting
	if sentence == "" {
		sentence = health.Sentence(t.whole(), t.wall())
	}
	if sentence != t.sentence && !t.closed {
		t.sentence = sentence
		t.notify(sentence)
	}
}
