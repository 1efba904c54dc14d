package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/ports"
)

// keepListening serves mTLS once there is a certificate, for as long as the
// agent runs.
func (a *Agent) keepListening(ctx context.Context) {
	defer a.board.block("listener", "")
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if !a.servable(ctx) {
			return
		}
		resume := resting(ctx) // callers are served in goroutines of their own
		err := a.w.Listener.Serve(ctx, a.w.Settings.ListenAddr, a.health, func(addr string) {
			attempt = 0
			a.board.block("listener", "")
			a.board.update(func(st *ports.Status) { st.ListenerAddr = addr })
			a.w.Log.Info("listening on "+addr, event(eventListening), slog.String("addr", addr))
		})
		resume()
		a.board.update(func(st *ports.Status) { st.ListenerAddr = "" })
		if err == nil {
			return
		}
		delay := a.transientWait(max(attempt, 1))
		a.board.block("listener", err.Error())
		a.w.Log.Error(err.Error(), event(eventListenerFailed), slog.Duration("wait", delay), slog.String("class", string(ports.Transient)), slog.Int("attempt", max(attempt, 1)))
		if wait(ctx, a.w.Wall, delay, nil) != nil {
			return
		}
	}
}

// servable waits until there is a certificate to serve with; false means that
// ctx is done.
func (a *Agent) servable(ctx context.Context) bool {
	defer resting(ctx)()
	select {
	case <-ctx.Done():
		return false
	case <-a.certs.served:
		return true
	}
}

// health is what GET /health answers.
func (a *Agent) health() ports.Health {
	st := a.board.snapshot()
	return ports.Health{Status: st.State, Version: st.Version, Uptime: time.Since(a.started), Certificate: st.Certificate}
}
