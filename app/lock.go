package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// commandRun is the command in whose name the service holds the lock.
const commandRun = "run"

// acquireLock takes the lock. It waits for a command of a person to end, and
// for a directory that cannot be locked to be repaired; it fails for another
// service. While it waits, it has answer called, so that callers are told.
func (a *Agent) acquireLock(ctx context.Context, answer func()) (unlock func() error, err error) {
	defer a.tracker.SetBlocked("lock", "")
	defer a.tracker.SetWaiting("")
	waitingFor := 0
	for attempt := 1; ; attempt++ {
		unlock, err := a.deps.Lock.TryLock(ctx, commandRun)
		var held *ports.LockedError
		switch {
		case err == nil:
			return unlock, nil
		case !errors.As(err, &held):
			a.ready() // from here on it supervises itself
			if a.waitBlocked(ctx, "lock", err, attempt) != nil {
				return nil, ctx.Err()
			}
			continue
		case held.Command == commandRun || held.Command == "":
			return nil, fmt.Errorf("%w: one service at a time can use a state directory", err)
		case waitingFor != held.PID:
			waitingFor = held.PID
			a.showHolder(held)
			answer()
		}
		if err := wait.Sleep(ctx, a.deps.Wall, retry.LockEvery, nil); err != nil {
			return nil, err
		}
	}
}

// showHolder says who holds the lock.
func (a *Agent) showHolder(held *ports.LockedError) {
	text := fmt.Sprintf("waiting for 'muster %s' (process %d) to end", held.Command, held.PID)
	a.deps.Log.Info(text, ports.EventLock.Attr(), slog.Int("pid", held.PID))
	a.tracker.SetWaiting(text)
	a.ready() // a person may take long; that is no start that hangs
}

// releaseLock gives the lock back; it goes with the process anyhow.
func (a *Agent) releaseLock(unlock func() error) {
	if err := unlock(); err != nil {
		a.deps.Log.Debug("giving back the lock: "+err.Error(), ports.EventLock.Attr())
	}
}
