package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/domain/refusal"
	"github.com/muster-agent/muster/ports"
)

// The numbers of docs/PROTOCOLS.md, "Frames".
const (
	pingEvery     = 30 * time.Second
	pongWithin    = 10 * time.Second
	statusEvery   = 2 * pingEvery // 60 s
	provenAfter   = time.Minute   // a connection that lasted this long counts as a success
	obeyPause     = time.Hour
	closeWithin   = 500 * time.Millisecond // how long a normal close waits for the relay's answer
	unknownFrames = 16                     // how many unknown frame types are remembered as logged
)

// keepConnected holds the standing connection for as long as the agent runs
// and there is a key.
func (a *Agent) keepConnected(ctx context.Context) {
	heldBack := true // by what the relay asked of an earlier process
	for ctx.Err() == nil {
		key, changed := a.keys.current()
		if key.Empty() {
			resume := resting(ctx)
			select {
			case <-ctx.Done():
			case <-changed:
			}
			resume()
			continue
		}
		if heldBack {
			heldBack = false
			_ = wait(ctx, a.w.Wall, a.relayHoldBack(ctx, key), changed)
			continue // another key, which nobody has put off, may have cut the wait short
		}
		delay := a.connect(ctx, key, changed)
		_ = wait(ctx, a.w.Wall, delay, changed) // the loop looks at ctx
	}
}

// relayHoldBack is how long the first connection of this process must wait
// because the relay asked for it.
func (a *Agent) relayHoldBack(ctx context.Context, key ports.Secret) time.Duration {
	entry, err := a.book.entry(ctx, ports.ActivityRelay, relayTarget(a.w.Settings, key))
	a.noted(err)
	pause := backoff.Resume(a.w.Settings.Delays, entry, false, false, a.w.Wall())
	if pause > 0 { // what an earlier process met still stands
		a.board.update(func(st *ports.Status) {
			st.Relay.LastError = entry.LastError
			if !entry.Refusal.Since.IsZero() {
				st.Relay.State, st.Relay.Since = ports.RelayStateRefused, entry.Refusal.Since
			}
		})
		logHeldBack(a.w.Log, eventRelayDisconnected, "the relay", pause, entry)
	}
	return pause
}

// connect makes one connection with key and serves it until it ends, ctx is
// done or there is another key. It returns how long to wait before the next.
func (a *Agent) connect(ctx context.Context, key ports.Secret, changed <-chan struct{}) time.Duration {
	target := relayTarget(a.w.Settings, key)
	entry, _ := a.book.entry(ctx, ports.ActivityRelay, target) // what this process knows suffices to connect
	if !entry.LastAttempt.IsZero() {
		a.noted(a.book.begin(ctx, ports.ActivityRelay, target))
	}
	a.board.update(func(st *ports.Status) {
		if st.Relay.State == ports.RelayStateNotConfigured || st.Relay.State == ports.RelayStateConnected {
			st.Relay = ports.RelayStatus{State: ports.RelayStateConnecting, Since: a.w.Wall()}
		}
	})
	who := a.who.identity()
	conn, err := a.w.Relay.Dial(ctx, ports.RelayHello{AgentID: who.AgentID, MachineUID: who.MachineUID, Hostname: a.w.Hostname, Key: key})
	switch {
	case ctx.Err() != nil:
		if err == nil {
			a.farewell(conn)
		}
		return 0
	case err != nil:
		return a.notConnected(ctx, target, entry.Refusal, err)
	}
	a.clock.observe(conn.ServerTime())
	since := a.w.Wall()
	a.board.update(func(st *ports.Status) {
		st.Relay = ports.RelayStatus{State: ports.RelayStateConnected, Since: since}
	})
	a.w.Log.Info("connected to the relay", event(eventRelayConnected)) // once the status shows it
	ended := a.serve(ctx, conn, changed)
	a.board.update(func(st *ports.Status) {
		st.Relay = ports.RelayStatus{State: ports.RelayStateConnecting, Since: a.w.Wall(), LastError: text(ended)}
	})
	switch {
	case ctx.Err() != nil:
		return 0
	case errors.Is(ended, errOtherKey):
		a.w.Log.Info("connecting again with the new key", event(eventRelayDisconnected))
		return 0
	}
	return a.relayFailed(ctx, target, eventRelayDisconnected, failure{class: ports.Transient, text: "the connection to the relay ended: " + ended.Error()})
}

// relayTarget stands for the relay and the key in the retry record: another key
// starts from nothing.
func relayTarget(set ports.Settings, key ports.Secret) string {
	relay := ""
	if set.RelayURL != nil {
		relay = set.RelayURL.String()
	}
	return digest(serverURL(set), relay, key.Fingerprint())
}

// errOtherKey ends a connection whose key is no longer the one in use.
var errOtherKey = errors.New("there is a new key")

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// noted logs that a note could not be written: the relay is tried all the
// same, because a machine with a credential connects even when its disk is
// full.
func (a *Agent) noted(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		a.w.Log.Debug(err.Error(), event(eventRelayDisconnected))
	}
}

// notConnected decides what follows a connection that was not made.
func (a *Agent) notConnected(ctx context.Context, target string, known ports.Refusal, err error) time.Duration {
	var refused *ports.RelayRefusedError
	if !errors.As(err, &refused) {
		a.board.update(func(st *ports.Status) {
			if st.Relay.State != ports.RelayStateRefused {
				st.Relay.State = ports.RelayStateConnecting
			}
		})
		f := failure{class: ports.Transient, text: "no connection to the relay: " + err.Error()}
		if busy, ok := errors.AsType[*ports.RelayBusyError](err); ok {
			a.clock.observe(busy.ServerTime)
			f.retryAfter = a.book.asked(busy.RetryAfter, busy.ServerTime)
		}
		return a.relayFailed(ctx, target, eventRelayDisconnected, f)
	}

	now := a.w.Wall()
	skewed := a.clock.observe(refused.ServerTime)
	counted := refusal.Count(known, refused.Code, skewed, now)
	class, advice := ports.Transient, "the key is kept and tried again"
	switch refusal.Decide(counted, a.w.Settings.ReenrollAfter, now) {
	case refusal.Retry:
		if skewed {
			advice = "this machine's clock and the server's differ, so this counts for nothing; " + advice
		}
		a.board.block("relay", "")
	case refusal.RetryAndTryEnrolling:
		advice = a.advise(advice + "; since it has been refused for so long, enrollment is tried beside it")
		a.askFor(onceInAWhile)
	case refusal.EnrollAgain:
		advice = a.advise("the server does not know this machine: enrolling again; the key is kept until there is a new one")
		a.askFor(untilStored)
	case refusal.Revoked:
		class, advice = ports.Operator, "an operator revoked this machine's key: unless that was a mistake to be undone at the server, stop the service and run 'muster enroll --force' to enroll this machine again"
		a.board.block("relay", advice)
		a.desk.withdrawUnlessOrdered()
	}
	a.board.update(func(st *ports.Status) {
		st.Relay.State, st.Relay.Since = ports.RelayStateRefused, counted.Since
		if counted.Since.IsZero() {
			st.Relay.State, st.Relay.Since = ports.RelayStateConnecting, now
		}
	})
	return a.relayFailed(ctx, target, eventCredentialRefused, failure{class: class, text: refused.Error() + ": " + advice, refusal: &counted})
}

// advise adds what is missing for an enrollment.
func (a *Agent) advise(advice string) string {
	if a.w.Site != nil {
		return advice
	}
	return "the key is kept and tried again; a new one cannot be asked for: " + needs(a.w.Settings)
}

// askFor asks for an enrollment, where one can be made: without an enrollment
// key the relay's state says what is needed.
func (a *Agent) askFor(wanted demand) {
	if a.w.Site != nil {
		a.desk.ask(wanted)
	}
}

// relayFailed notes, shows and logs that there is no connection, and returns
// the wait before the next attempt.
func (a *Agent) relayFailed(ctx context.Context, target, name string, f failure) time.Duration {
	delay, attempt, err := a.book.failed(ctx, ports.ActivityRelay, target, f)
	a.noted(err)
	a.board.update(func(st *ports.Status) { st.Relay.LastError = f.text })
	a.w.Log.Warn(f.text, event(name), slog.Duration("wait", delay), slog.String("class", string(f.class)), slog.Int("attempt", attempt))
	return delay
}

// serve keeps one connection until it ends and says why it did. It tells the
// agent's status, pings, and obeys frames.
func (a *Agent) serve(ctx context.Context, conn ports.RelayConn, changed <-chan struct{}) error {
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
		a.farewell(conn)
		<-broken
		return why
	}

	if err := a.tellStatus(ctx, conn); err != nil {
		return stop(err)
	}
	started := time.Now()
	proven := time.NewTimer(provenAfter)
	defer proven.Stop()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for tick := 1; ; {
		resume = resting(ctx)
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
			a.obey(ctx, frame)
		case <-proven.C:
			resume()
			a.w.Log.Debug("the connection has lasted", event(eventRelayConnected), slog.Duration("for", time.Since(started)))
			a.noted(a.book.succeeded(ctx, ports.ActivityRelay))
			a.board.block("relay", "")
			a.desk.withdrawUnlessOrdered()
		case <-ticker.C:
			resume()
			if err := a.ping(ctx, conn); err != nil {
				return stop(err)
			}
			if tick++; time.Duration(tick-1)*pingEvery%statusEvery == 0 {
				if err := a.tellStatus(ctx, conn); err != nil {
					return stop(err)
				}
			}
		}
	}
}

// errNoPong is a connection that is dead although nobody closed it.
var errNoPong = errors.New("no answer to a ping within 10 s")

func (a *Agent) ping(ctx context.Context, conn ports.RelayConn) error {
	pinged, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	err := conn.Ping(pinged)
	if err != nil && ctx.Err() == nil && pinged.Err() != nil {
		return errNoPong
	}
	return err
}

func (a *Agent) tellStatus(ctx context.Context, conn ports.RelayConn) error {
	st := a.board.snapshot()
	ctx, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	return conn.Send(ctx, ports.AgentStatus{
		MachineUID: st.MachineUID, Hostname: st.Hostname, Version: a.w.Version, Uptime: time.Since(a.started),
		Certificate: ports.RelayCertificate{Status: st.Certificate.Status, NotAfter: st.Certificate.NotAfter},
	})
}

// farewell closes a connection normally, within closeWithin.
func (a *Agent) farewell(conn ports.RelayConn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := conn.Close(ctx); err != nil {
		a.w.Log.Debug("closing the connection to the relay: "+err.Error(), event(eventRelayDisconnected))
	}
}

// obey does what the relay asks for, each thing at most once an hour.
func (a *Agent) obey(ctx context.Context, frame ports.RelayFrame) {
	switch frame.Type {
	case ports.FrameReenroll:
		if a.w.Site == nil {
			a.w.Log.Warn("the relay asks for a new enrollment, but site enrollment is not configured", event(eventRelayFrame))
			return
		}
		if a.mayObey(ctx, frame.Type) {
			a.desk.ask(ordered)
		}
	case ports.FrameRenewCertificates:
		if a.manager == nil {
			a.w.Log.Warn("the relay asks for a renewal of the certificates, but no manager is configured", event(eventRelayFrame))
			return
		}
		if a.mayObey(ctx, frame.Type) {
			a.carer.ask(true, nil)
		}
	default:
		if !a.unknown[frame.Type] && len(a.unknown) < unknownFrames {
			a.unknown[frame.Type] = true
			a.w.Log.Info("the relay sent a frame of a type that is not known here: ignored", event(eventRelayFrame), slog.String("type", plainType(frame.Type)))
		}
	}
}

// mayObey notes that a frame is obeyed, and says whether it may be.
func (a *Agent) mayObey(ctx context.Context, frame string) bool {
	may, err := a.book.obey(ctx, frame, obeyPause)
	a.noted(err)
	if !may {
		a.w.Log.Info("the relay asks again within an hour: ignored", event(eventRelayFrame), slog.String("type", frame))
		return false
	}
	a.w.Log.Info("the relay asks: obeyed", event(eventRelayFrame), slog.String("type", frame))
	return true
}

// plainType is a frame's type as a log may show it: a peer could send anything.
func plainType(s string) string {
	if s == "" || len(s) > 40 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != "" || strings.Contains(s, "cak_") || strings.Contains(s, "cek_") {
		return "(not a plain name)"
	}
	return s
}
