package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/ports"
)

const (
	// commandRun is the command in whose name the service holds the lock.
	commandRun = "run"
	// turnEvery is how often a service looks whether a command has ended that
	// holds the lock: a person waits for it, and a look costs microseconds.
	turnEvery = 250 * time.Millisecond
)

// takeTurn takes the lock. It waits for a command of a person to end, and for a
// directory that cannot be locked to be repaired; it fails for another
// service. While it waits, it has answer called, so that callers are told.
func (a *Agent) takeTurn(ctx context.Context, answer func()) (unlock func() error, err error) {
	defer a.board.block("lock", "")
	defer a.board.await("")
	waitingFor := 0
	for attempt := 1; ; attempt++ {
		unlock, err := a.w.Lock.TryLock(ctx, commandRun)
		var held *ports.LockedError
		switch {
		case err == nil:
			return unlock, nil
		case !errors.As(err, &held):
			a.ready() // from here on it supervises itself
			if a.blocked(ctx, "lock", err, attempt) != nil {
				return nil, ctx.Err()
			}
			continue
		case held.Command == commandRun || held.Command == "":
			return nil, fmt.Errorf("%w: one service at a time can use a state directory", err)
		case waitingFor != held.PID:
			waitingFor = held.PID
			a.waitFor(held)
			answer()
		}
		if err := wait(ctx, a.w.Wall, turnEvery, nil); err != nil {
			return nil, err
		}
	}
}

// waitFor says who holds the lock.
func (a *Agent) waitFor(held *ports.LockedError) {
	text := fmt.Sprintf("waiting for 'muster %s' (process %d) to end", held.Command, held.PID)
	a.w.Log.Info(text, event(eventLock), slog.Int("pid", held.PID))
	a.board.await(text)
	a.ready() // a person may take long; that is no start that hangs
}

// ready tells the supervisor that the agent supervises itself.
func (a *Agent) ready() { a.told(a.w.Supervisor.Ready()) }

// giveBack releases the lock; it goes with the process anyhow.
func (a *Agent) giveBack(unlock func() error) {
	if err := unlock(); err != nil {
		a.w.Log.Debug("giving back the lock: "+err.Error(), event(eventLock))
	}
}
