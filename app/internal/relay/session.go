// Package relay holds the standing connection to the relay.
package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/identity"
	"github.com/muster-agent/muster/app/internal/latest"
	"github.com/muster-agent/muster/app/internal/site"
	"github.com/muster-agent/muster/app/internal/skew"
	"github.com/muster-agent/muster/app/internal/tracker"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/keyrefusal"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Session connects to the relay with the key in use, and connects again
// whenever the connection is lost. Set the exported fields before Run.
type Session struct {
	Dialer   ports.RelayDialer
	Settings ports.Settings
	Version  string
	Hostname string
	Started  time.Time // of the agent
	Identity *identity.Keeper
	Attempts *attempts.Record
	Tracker  *tracker.Tracker
	Skew     *skew.Clock
	APIKey   *latest.Value[ports.Secret]
	Wanted   site.Wanted
	// MissingForSite is what a site enrollment lacks; empty if one can be made.
	MissingForSite string
	// RenewCertificate has the certificate renewed although it is not due; nil
	// where nobody renews it.
	RenewCertificate func()
	Wall             func() time.Time
	Log              *slog.Logger

	unknown map[string]bool // frame types that were logged as unknown
}

// errOtherKey ends a connection whose key is no longer the one in use.
var errOtherKey = errors.New("there is a new key")

// Run holds the connection for as long as ctx lasts and there is a key.
func (s *Session) Run(ctx context.Context) {
	first := true // an earlier process may have been asked to wait
	for ctx.Err() == nil {
		key, changed := s.APIKey.Get()
		if key.Empty() {
			_ = wait.For(ctx, changed) // the loop looks at ctx
			continue
		}
		if first {
			first = false
			_ = wait.Sleep(ctx, s.Wall, s.resumedPause(ctx, key), changed)
			continue // another key, which nobody has put off, may have cut the wait short
		}
		_ = wait.Sleep(ctx, s.Wall, s.connect(ctx, key, changed), changed)
	}
}

// resumedPause is how long the first connection of this process must wait because
// the relay asked for it.
func (s *Session) resumedPause(ctx context.Context, key ports.Secret) time.Duration {
	entry, err := s.Attempts.Entry(ctx, ports.ActivityRelay, retry.RelayTarget(s.Settings, key))
	s.logUnsaved(err)
	pause := retry.NotBefore(entry, s.Settings.Delays, retry.Reconnect, s.Wall())
	if pause > 0 { // what an earlier process met still stands
		s.Tracker.Update(func(st *ports.Status) {
			st.Relay.LastError = entry.LastError
			if !entry.Refusal.Since.IsZero() {
				st.Relay.State, st.Relay.Since = ports.RelayStateRefused, entry.Refusal.Since
			}
		})
		attempts.LogHeldBack(s.Log, ports.EventRelayDisconnected, "the relay", retry.Resumed(entry, pause))
	}
	return pause
}

// connect makes one connection with key and serves it until it ends, ctx is
// done or there is another key. It returns how long to wait before the next.
func (s *Session) connect(ctx context.Context, key ports.Secret, changed <-chan struct{}) time.Duration {
	target := retry.RelayTarget(s.Settings, key)
	entry, _ := s.Attempts.Entry(ctx, ports.ActivityRelay, target) // what this process knows suffices to connect
	if !entry.LastAttempt.IsZero() {
		s.logUnsaved(s.Attempts.Begin(ctx, ports.ActivityRelay, target))
	}
	s.Tracker.Update(func(st *ports.Status) {
		if st.Relay.State == ports.RelayStateNotConfigured || st.Relay.State == ports.RelayStateConnected {
			st.Relay = ports.RelayStatus{State: ports.RelayStateConnecting, Since: s.Wall()}
		}
	})
	who := s.Identity.Identity()
	conn, err := s.Dialer.Dial(ctx, ports.RelayHello{AgentID: who.AgentID, MachineUID: who.MachineUID, Hostname: s.Hostname, Key: key})
	switch {
	case ctx.Err() != nil:
		if err == nil {
			s.close(conn)
		}
		return 0
	case err != nil:
		return s.notConnected(ctx, target, entry.Refusal, err)
	}
	s.Skew.Observe(conn.ServerTime())
	since := s.Wall()
	s.Tracker.Update(func(st *ports.Status) {
		st.Relay = ports.RelayStatus{State: ports.RelayStateConnected, Since: since}
	})
	s.Log.Info("connected to the relay", ports.EventRelayConnected.Attr()) // once the status shows it
	ended := s.serve(ctx, conn, changed)
	s.Tracker.Update(func(st *ports.Status) {
		st.Relay = ports.RelayStatus{State: ports.RelayStateConnecting, Since: s.Wall(), LastError: ended.Error()}
	})
	switch {
	case ctx.Err() != nil:
		return 0
	case errors.Is(ended, errOtherKey):
		s.Log.Info("connecting again with the new key", ports.EventRelayDisconnected.Attr())
		return 0
	}
	return s.failed(ctx, target, ports.EventRelayDisconnected, retry.Failure{Class: ports.Transient, Text: "the connection to the relay ended: " + ended.Error()})
}

// notConnected decides what follows a connection that was not made.
func (s *Session) notConnected(ctx context.Context, target string, known ports.Refusal, err error) time.Duration {
	refused, ok := errors.AsType[*ports.RelayRefusedError](err)
	if !ok {
		return s.unavailable(ctx, target, err)
	}
	now := s.Wall()
	skewed := s.Skew.Observe(refused.ServerTime)
	counted := keyrefusal.Count(known, refused.Code, skewed, now)
	next := keyrefusal.Decide(counted, s.Settings.ReenrollAfter, skewed, s.MissingForSite, now)
	switch next.Verdict {
	case keyrefusal.Retry:
		s.Tracker.SetBlocked("relay", "")
	case keyrefusal.RetryAndTryEnrolling:
		s.enroll(site.Occasionally)
	case keyrefusal.EnrollAgain:
		s.enroll(site.UntilStored)
	case keyrefusal.Revoked:
		s.Tracker.SetBlocked("relay", next.Advice)
		s.Wanted.WithdrawUnlessAlways()
	}
	s.Tracker.Update(func(st *ports.Status) {
		st.Relay.State, st.Relay.Since = ports.RelayStateRefused, counted.Since
		if counted.Since.IsZero() {
			st.Relay.State, st.Relay.Since = ports.RelayStateConnecting, now
		}
	})
	return s.failed(ctx, target, ports.EventCredentialRefused, retry.Failure{Class: next.Class, Text: refused.Error() + ": " + next.Advice, Refusal: &counted})
}

// unavailable is what follows a connection that failed for a passing reason.
func (s *Session) unavailable(ctx context.Context, target string, err error) time.Duration {
	s.Tracker.Update(func(st *ports.Status) {
		if st.Relay.State != ports.RelayStateRefused {
			st.Relay.State = ports.RelayStateConnecting
		}
	})
	f := retry.Failure{Class: ports.Transient, Text: "no connection to the relay: " + err.Error()}
	if busy, ok := errors.AsType[*ports.RelayBusyError](err); ok {
		s.Skew.Observe(busy.ServerTime)
		f.RetryAfter = s.Attempts.Asked(busy.RetryAfter, busy.ServerTime)
	}
	return s.failed(ctx, target, ports.EventRelayDisconnected, f)
}

// enroll asks for a site enrollment, where one can be made: else the relay's
// state says what is needed.
func (s *Session) enroll(u site.Urgency) {
	if s.MissingForSite == "" {
		s.Wanted.Ask(u)
	}
}

// failed notes, shows and logs that there is no connection, and returns the
// wait before the next attempt.
func (s *Session) failed(ctx context.Context, target string, e ports.Event, f retry.Failure) time.Duration {
	pause, err := s.Attempts.Failed(ctx, ports.ActivityRelay, target, f)
	s.logUnsaved(err)
	s.Tracker.Update(func(st *ports.Status) { st.Relay.LastError = f.Text })
	s.Log.Warn(f.Text, attempts.LogAttrs(e, pause)...)
	return pause.Wait
}

func (s *Session) logUnsaved(err error) {
	attempts.LogUnsaved(s.Log, ports.EventRelayDisconnected, err)
}
