package app

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/standing"
	"github.com/muster-agent/muster/ports"
)

// board holds how the agent stands; every part of it writes there, and
// everyone who asks is answered from there. It is safe for concurrent use.
type board struct {
	wall func() time.Time
	// told gets the one-line summary whenever it changes.
	told func(sentence string)

	threshold time.Duration // see standing.Overall

	mu       sync.Mutex
	status   ports.Status
	waiting  string            // what is waited for before anything is done
	blocked  map[string]string // what a person must do, by the part that needs it
	sentence string
	closed   bool // nothing is told any more
}

func newBoard(w *World, initial ports.Status, told func(string)) *board {
	return &board{wall: w.Wall, told: told, threshold: w.Settings.RenewalThreshold, status: initial, blocked: map[string]string{}}
}

// update changes the status in one step.
func (b *board) update(change func(*ports.Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
	b.changed()
}

// block says that part needs a person, who is told what to do; an empty advice
// takes it back.
func (b *board) block(part, advice string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if advice == "" {
		delete(b.blocked, part)
	} else {
		b.blocked[part] = advice
	}
	b.changed()
}

// await says what is waited for before anything else can be done; an empty text
// says that the wait is over.
func (b *board) await(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = text
	b.changed()
}

// close has nothing told any more: what the parts meet while they end is no
// news.
func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// snapshot is the status as it stands now.
func (b *board) snapshot() ports.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole()
}

// whole derives the overall state. The caller holds mu.
func (b *board) whole() ports.Status {
	s := b.status
	advice := make([]string, 0, len(b.blocked))
	for _, part := range slices.Sorted(maps.Keys(b.blocked)) {
		advice = append(advice, b.blocked[part])
	}
	s.Blocked = strings.Join(advice, "; ")
	if b.waiting != "" {
		s.Site.LastError, s.Manager.LastError, s.Relay.LastError = b.waiting, b.waiting, b.waiting
	}
	s.State = standing.Overall(s, b.threshold, b.wall())
	return s
}

// changed tells the supervisor, if there is something new to tell. The caller
// holds mu, so that what is told comes in order.
func (b *board) changed() {
	sentence := b.waiting
	if sentence == "" {
		sentence = standing.Sentence(b.whole(), b.wall())
	}
	if sentence != b.sentence && !b.closed {
		b.sentence = sentence
		b.told(sentence)
	}
}
