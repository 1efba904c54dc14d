// Package skew keeps by how much the servers' clock differs from ours.
package skew

import (
	"log/slog"
	"sync"
	"time"

	"github.com/muster-agent/muster/app/internal/tracker"
	"github.com/muster-agent/muster/domain/skew"
	"github.com/muster-agent/muster/ports"
)

// Clock learns the servers' time. It is safe for concurrent use. Set the
// exported fields before the first call.
type Clock struct {
	Wall    func() time.Time
	Tracker *tracker.Tracker
	Log     *slog.Logger

	mu      sync.Mutex
	skew    time.Duration // the server's time less ours; 0 until it is known
	alarmed bool
}

// Observe learns a server's time from its Date header; a zero time teaches
// nothing. It returns whether the clocks differ too much.
func (c *Clock) Observe(serverTime time.Time) bool {
	if serverTime.IsZero() {
		return !c.Other().IsZero()
	}
	found := skew.Of(serverTime, c.Wall())
	c.mu.Lock()
	c.skew = found
	alarm := skew.TooMuch(found)
	turned := alarm != c.alarmed
	c.alarmed = alarm
	c.mu.Unlock()

	c.Tracker.Update(func(s *ports.Status) { s.ClockSkew = &found })
	switch {
	case turned && alarm:
		c.Log.Warn("this machine's clock and the server's differ: set this machine's clock (is its time synchronisation running?); until then a refusal counts for nothing",
			ports.EventClockSkew.Attr(), slog.Duration("skew", found))
	case turned:
		c.Log.Info("this machine's clock and the server's agree again", ports.EventClockSkew.Attr(), slog.Duration("skew", found))
	}
	return alarm
}

// Other is the present time by the server's clock while it differs too much
// from ours, else zero.
func (c *Clock) Other() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !skew.TooMuch(c.skew) {
		return time.Time{}
	}
	return c.Wall().Add(c.skew)
}
