package app

import (
	"context"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/issue"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/ports"
)

// serveStatus answers local callers. An agent whose socket cannot be opened
// (a directory that cannot be written) does its work all the same and tries
// again.
func (a *Agent) serveStatus(ctx context.Context) {
	if a.deps.StatusServer == nil {
		return
	}
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := a.deps.StatusServer.Serve(ctx, ports.LocalCalls{Status: a.tracker.Snapshot, RenewCertificates: a.renewNow})
		if err == nil {
			return
		}
		pause := a.attempts.Local(attempt)
		a.deps.Log.Warn("local status is not available: "+err.Error(), attempts.LogAttrs(ports.EventStatusServer, pause)...)
		if wait.Sleep(ctx, a.deps.Wall, pause.Wait, nil) != nil {
			return
		}
	}
}

// renewNow has the running agent look at its certificate and renew it if that
// is due.
func (a *Agent) renewNow(ctx context.Context) (ports.RenewResult, error) {
	if a.deps.Certificates == nil {
		return ports.RenewResult{End: ports.RenewFailed, Line: "Certificates are not configured: set MUSTER_MANAGER_URL."}, nil
	}
	answer := make(chan issue.Result, 1)
	a.issue.Wanted.Ask(false, answer)
	select {
	case <-ctx.Done():
		return ports.RenewResult{}, ctx.Err()
	case result := <-answer:
		return issue.Told(result), nil
	}
}
