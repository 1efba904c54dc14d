package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/ports"
)

// listen serves mTLS once there is a certificate, for as long as the agent
// runs.
func (a *Agent) listen(ctx context.Context) {
	d := a.deps
	defer a.tracker.SetBlocked("listener", "")
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if a.certs.AwaitServable(ctx) != nil {
			return
		}
		resume := wait.Idle(ctx) // callers are served in goroutines of their own
		err := d.Listener.Serve(ctx, d.Settings.ListenAddr, a.health, func(addr string) {
			attempt = 0
			a.tracker.SetBlocked("listener", "")
			a.tracker.Update(func(st *ports.Status) { st.ListenerAddr = addr })
			d.Log.Info("listening on "+addr, ports.EventListening.Attr(), slog.String("addr", addr))
		})
		resume()
		a.tracker.Update(func(st *ports.Status) { st.ListenerAddr = "" })
		if err == nil {
			return
		}
		pause := a.attempts.Local(attempt)
		a.tracker.SetBlocked("listener", err.Error())
		d.Log.Error(err.Error(), attempts.LogAttrs(ports.EventListenerFailed, pause)...)
		if wait.Sleep(ctx, d.Wall, pause.Wait, nil) != nil {
			return
		}
	}
}

// health is what GET /health answers.
func (a *Agent) health() ports.Health {
	st := a.tracker.Snapshot()
	return ports.Health{Status: st.State, Version: st.Version, Uptime: time.Since(a.started), Certificate: st.Certificate}
}
