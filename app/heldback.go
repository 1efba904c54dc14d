package app

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/ports"
)

// hold is until when an activity must wait: until the earlier of the two, as
// every wait (see wait).
type hold struct {
	monotonic time.Time
	wall      time.Time
}

// holdFor has an activity wait.
func (m *managerEnrollment) holdFor(activity ports.Activity, d time.Duration) {
	if m.holds == nil {
		m.holds = map[ports.Activity]hold{}
	}
	m.holds[activity] = hold{time.Now().Add(d), m.w.Wall().Add(d)}
}

// held is how long an activity must still wait; it may be negative.
func (m *managerEnrollment) held(activity ports.Activity) time.Duration {
	h, ok := m.holds[activity]
	if !ok {
		return 0
	}
	return min(time.Until(h.monotonic), h.wall.Sub(m.w.Wall()))
}

// renewalHeldBack is how long a renewal must wait for the Retry-After of an
// earlier one, of an earlier process too.
func (m *managerEnrollment) renewalHeldBack(ctx context.Context) time.Duration {
	if _, ok := m.holds[ports.ActivityRenew]; !ok {
		entry, err := m.book.entry(ctx, ports.ActivityRenew, leafDigest(m.certs.judgement().Leaf))
		if err != nil {
			m.w.Log.Warn(err.Error(), event(eventEnrollRetry))
		}
		pause := backoff.Resume(m.w.Settings.Delays, entry, false, false, m.w.Wall())
		m.holdFor(ports.ActivityRenew, pause)
		if pause > 0 {
			m.board.update(func(st *ports.Status) {
				st.Manager = ports.ManagerStatus{State: ports.ManagerState(entry.State), Since: entry.Since, LastError: entry.LastError, NextAttempt: m.w.Wall().Add(pause)}
			})
			logHeldBack(m.w.Log, eventEnrollRetry, m.host(), pause, entry)
		}
	}
	return m.held(ports.ActivityRenew)
}

// holdBack is how long the next step must wait because of a Retry-After, or of
// what an earlier process did. It shows what that met, since it still stands.
func (m *managerEnrollment) holdBack(ctx context.Context, person bool) time.Duration {
	if err := m.load(ctx); err != nil {
		return 0 // advance meets the same error and reports it
	}
	next := ports.ActivityPoll
	if m.pending.Token.Empty() {
		next = ports.ActivityRegister
	}
	if !m.heldBack {
		m.heldBack = true
		m.holdFor(next, m.resumed(ctx, person))
	}
	return m.held(next)
}

// resumed is how long the first step of this process must wait.
func (m *managerEnrollment) resumed(ctx context.Context, person bool) time.Duration {
	register, err := m.book.entry(ctx, ports.ActivityRegister, m.target())
	poll, pollErr := m.book.entry(ctx, ports.ActivityPoll, m.target())
	if err = cmp.Or(err, pollErr); err != nil {
		m.w.Log.Warn(err.Error(), event(eventEnrollRetry))
	}
	registering := m.pending.Token.Empty()
	pause := backoff.Resume(m.w.Settings.Delays, poll, registering, person, m.w.Wall())
	if registering { // after a registration that failed, or that a poll ended
		pause = max(pause, backoff.Resume(m.w.Settings.Delays, register, registering, person, m.w.Wall()))
	}
	if person {
		return pause
	}
	last := enrollment.LastFailure(m.pending, register, poll)
	if last.State != "" {
		m.board.update(func(st *ports.Status) {
			st.Manager = ports.ManagerStatus{State: ports.ManagerState(last.State), Polls: m.pending.Polls, Since: last.Since, LastError: last.LastError}
			if pause > 0 {
				st.Manager.NextAttempt = m.w.Wall().Add(pause)
			}
		})
	}
	if pause > 0 {
		logHeldBack(m.w.Log, eventEnrollRetry, m.host(), pause, last)
	}
	return pause
}

// logHeldBack says that a start waits because of what an earlier process met.
func logHeldBack(log *slog.Logger, name, whom string, pause time.Duration, last ports.RetryEntry) {
	class := classOf(last)
	log.Info(whom+" is asked again only after a while, because of what the agent met before it was started", event(name),
		slog.Duration("wait", pause), slog.String("class", string(class)), slog.Int("attempt", last.Attempts[class]))
}
