package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// ready tells the supervisor that the agent supervises itself.
func (a *Agent) ready() { a.notify(a.deps.Supervisor.Ready()) }

// notify logs a notification of the supervisor that did not arrive; nobody
// waits for one.
func (a *Agent) notify(err error) {
	if err != nil {
		a.deps.Log.Debug("telling the supervisor: "+err.Error(), ports.EventSupervisor.Attr())
	}
}

// sayStopping says, once, that the agent was told to stop, if it was; one that
// is replaced says nothing.
func (a *Agent) sayStopping(ctx context.Context) {
	if ctx.Err() == nil {
		return
	}
	a.stopping.Do(func() {
		a.tracker.Close()
		if errors.Is(context.Cause(ctx), ErrReplaced) {
			return
		}
		a.notify(a.deps.Supervisor.Stopping())
		a.notify(a.deps.Supervisor.Status("stopping"))
		a.deps.Log.Info("told to stop", ports.EventStopping.Attr())
	})
}

// feedWatchdog tells the supervisor that the agent is alive, if it wants to
// know, for as long as no task of the agent hangs.
func (a *Agent) feedWatchdog(ctx context.Context) {
	interval := a.deps.Supervisor.WatchdogInterval()
	if interval <= 0 {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	told := ""
	for {
		hung := a.watchdog.Hung()
		switch {
		case hung == "":
			a.notify(a.deps.Supervisor.Alive())
		case hung != told:
			a.deps.Log.Error(fmt.Sprintf("the %s has been at work for more than %v: it hangs, so that the supervisor is not told any more that the agent is alive", hung, retry.HungAfter),
				ports.EventSupervisor.Attr(), slog.String("part", hung))
		}
		told = hung
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
