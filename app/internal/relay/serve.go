package relay

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// serve keeps one connection until it ends and says why it did. It tells the
// agent's status, pings, and obeys frames.
func (s *Session) serve(ctx context.Context, conn ports.RelayConn, changed <-chan struct{}) error {
	frames, broken := make(chan ports.RelayFrame), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		for {
			// Not ctx: told to stop, the agent says goodbye first.
			frame, err := conn.Receive(context.WithoutCancel(ctx))
			if err != nil {
				broken <- err
				return
			}
			select {
			case frames <- frame:
			case <-done:
			}
		}
	}()
	resume := func() {}
	stop := func(why error) error {
		resume()
		close(done)
		s.close(conn)
		<-broken
		return why
	}

	if err := s.tellStatus(ctx, conn); err != nil {
		return stop(err)
	}
	started := time.Now()
	proven := time.NewTimer(retry.ProvenAfter)
	defer proven.Stop()
	ticker := time.NewTicker(retry.PingEvery)
	defer ticker.Stop()
	for tick := 1; ; {
		resume = wait.Idle(ctx)
		select {
		case <-ctx.Done():
			return stop(ctx.Err())
		case <-changed:
			return stop(errOtherKey)
		case err := <-broken:
			broken <- err
			return stop(err)
		case frame := <-frames:
			resume()
			s.obey(ctx, frame)
		case <-proven.C:
			resume()
			s.Log.Debug("the connection has lasted", ports.EventRelayConnected.Attr(), slog.Duration("for", time.Since(started)))
			s.logUnsaved(s.Attempts.Succeeded(ctx, ports.ActivityRelay))
			s.Tracker.SetBlocked("relay", "")
			s.Wanted.WithdrawUnlessAlways()
		case <-ticker.C:
			resume()
			if err := s.ping(ctx, conn); err != nil {
				return stop(err)
			}
			if tick++; time.Duration(tick-1)*retry.PingEvery%retry.StatusEvery == 0 {
				if err := s.tellStatus(ctx, conn); err != nil {
					return stop(err)
				}
			}
		}
	}
}

func (s *Session) ping(ctx context.Context, conn ports.RelayConn) error {
	pinged, cancel := context.WithTimeout(ctx, retry.PongWithin)
	defer cancel()
	err := conn.Ping(pinged)
	if err != nil && ctx.Err() == nil && pinged.Err() != nil {
		return fmt.Errorf("no answer to a ping within %d s", retry.PongWithin/time.Second) // dead although nobody closed it
	}
	return err
}

func (s *Session) tellStatus(ctx context.Context, conn ports.RelayConn) error {
	st := s.Tracker.Snapshot()
	ctx, cancel := context.WithTimeout(ctx, retry.PongWithin)
	defer cancel()
	return conn.Send(ctx, ports.AgentStatus{
		MachineUID: st.MachineUID, Hostname: st.Hostname, Version: s.Version, Uptime: time.Since(s.Started),
		Certificate: ports.RelayCertificate{Status: st.Certificate.Status, NotAfter: st.Certificate.NotAfter},
	})
}

// close closes a connection normally, within retry.CloseWithin.
func (s *Session) close(conn ports.RelayConn) {
	ctx, cancel := context.WithTimeout(context.Background(), retry.CloseWithin)
	defer cancel()
	if err := conn.Close(ctx); err != nil {
		s.Log.Debug("closing the connection to the relay: "+err.Error(), ports.EventRelayDisconnected.Attr())
	}
}
