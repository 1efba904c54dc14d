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
	blocked  map[string]string // what a person must do, by the part that needs it
	sentence string
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
	s.State = standing.Overall(s, b.threshold, b.wall())
	return s
}

// changed tells the supervisor, if there is something new to tell. The caller
// holds mu, so that what is told comes in order.
func (b *board) changed() {
	if sentence := standing.Sentence(b.whole(), b.wall()); sentence != b.sentence {
		b.sentence = sentence
		b.told(sentence)
	}
}
