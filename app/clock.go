package app

import (
	"log/slog"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// skewLimit is by how much a server's clock may differ from ours before it is
// reported and before what depends on time is judged with care (docs/SPEC.md,
// "When the clock is wrong").
const skewLimit = 5 * time.Minute

// clock knows by how much the servers' time differs from ours. It is safe for
// concurrent use.
type clock struct {
	wall  func() time.Time
	board *board
	log   *slog.Logger

	mu      sync.Mutex
	skew    time.Duration // the server's time less ours
	known   bool
	alarmed bool
}

// observe learns a server's time from its Date header; a zero time teaches
// nothing. It returns whether the clocks differ too much.
func (c *clock) observe(serverTime time.Time) bool {
	if serverTime.IsZero() {
		return c.skewed()
	}
	// Date is cut to the second: on average the server is half a second further.
	skew := serverTime.Add(time.Second / 2).Sub(c.wall()).Round(time.Second)
	c.mu.Lock()
	c.skew, c.known = skew, true
	alarm := skew.Abs() > skewLimit
	turned := alarm != c.alarmed
	c.alarmed = alarm
	c.mu.Unlock()

	c.board.update(func(s *ports.Status) { s.ClockSkew = &skew })
	switch {
	case turned && alarm:
		c.log.Warn("this machine's clock and the server's differ: set this machine's clock (is its time synchronisation running?); until then a refusal counts for nothing",
			event(eventClockSkew), slog.Duration("skew", skew))
	case turned:
		c.log.Info("this machine's clock and the server's agree again", event(eventClockSkew), slog.Duration("skew", skew))
	}
	return alarm
}

// skewed reports whether the newest server's time differs too much from ours.
func (c *clock) skewed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known && c.skew.Abs() > skewLimit
}

// other is the present time by the server's clock while it differs too much
// from ours, else zero.
func (c *clock) other() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || c.skew.Abs() <= skewLimit {
		return time.Time{}
	}
	return c.wall().Add(c.skew)
}
