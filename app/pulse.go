package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// stretch is how long a part may be at work between two waits before it counts
// as hung: the longest honest one asks for this host's facts (10 s) and makes
// a request (30 s); the rest is for a slow disk.
const stretch = 3 * time.Minute

// pulse knows which of the agent's parts are at work, and since when. A part
// that waits, for time to pass or for somebody, is as it should be, however
// long it does. It is safe for concurrent use.
type pulse struct {
	mu     sync.Mutex
	atWork map[*part]time.Time
}

// part is one of the agent's long-lived loops.
type part struct {
	name  string
	pulse *pulse
}

func newPulse() *pulse { return &pulse{atWork: map[*part]time.Time{}} }

type partKey struct{}

// begin makes ctx that of a part, which is at work until it rests or ends.
func (p *pulse) begin(ctx context.Context, name string) (_ context.Context, end func()) {
	self := &part{name, p}
	self.work()
	return context.WithValue(ctx, partKey{}, self), self.rest
}

// resting says that the part whose ctx it is waits until resume is called.
// What belongs to no part (a command) is not watched.
func resting(ctx context.Context) (resume func()) {
	self, _ := ctx.Value(partKey{}).(*part)
	if self == nil {
		return func() {}
	}
	self.rest()
	return self.work
}

func (s *part) work() {
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	s.pulse.atWork[s] = time.Now()
}

func (s *part) rest() {
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	delete(s.pulse.atWork, s)
}

// hung names a part that has been at work for longer than a stretch; empty if
// there is none.
func (p *pulse) hung() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s, since := range p.atWork {
		if time.Since(since) > stretch {
			return s.name
		}
	}
	return ""
}

// feedWatchdog tells the supervisor that the agent is alive, if it wants to
// know, for as long as no part of it hangs.
func (a *Agent) feedWatchdog(ctx context.Context) {
	interval := a.w.Supervisor.WatchdogInterval()
	if interval <= 0 {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	told := ""
	for {
		hung := a.pulse.hung()
		switch {
		case hung == "":
			a.told(a.w.Supervisor.Alive())
		case hung != told:
			a.w.Log.Error(fmt.Sprintf("the %s has been at work for more than %v: it hangs, so that the supervisor is not told any more that the agent is alive", hung, stretch),
				event(eventSupervisor), slog.String("part", hung))
		}
		told = hung
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
