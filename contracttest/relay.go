package contracttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// RelayScript is how a relay behaves towards every handshake.
type RelayScript struct {
	// Refuse, if set, says how the handshake is refused.
	Refuse *ports.RelayRefusedError
	// Busy, if set, says how the handshake is put off.
	Busy *ports.RelayBusyError
	// Unavailable: the handshake fails in another way. If the relay answers at
	// all, it does so with a status for which a Retry-After means nothing.
	Unavailable bool
	// Hang: the handshake is never answered.
	Hang bool
	// Date is the relay's time, not told if it is zero.
	Date time.Time
}

// RelayServer is a relay that follows a script, and a dialer of it.
type RelayServer struct {
	Dialer ports.RelayDialer
	// Hellos are what agents presented, oldest first.
	Hellos func() []ports.RelayHello
	// Peer is the relay's end of the newest connection, once there is one.
	Peer func() RelayPeer
}

// RelayPeer is the relay's end of a connection.
type RelayPeer interface {
	Push(ports.RelayFrame)
	// Drop breaks the connection without a close frame.
	Drop()
	// Stall stops the relay from answering anything, pings and closes included.
	Stall()
	// Sent is what the agent has sent.
	Sent() []ports.AgentStatus
	// ClosedNormally reports that the agent's close frame, 1000, has come.
	ClosedNormally() bool
}

const (
	// promptly is the limit for what the port wants done promptly.
	promptly = 5 * time.Second
	// soon is the same on a machine that may be busy. It is still shorter than
	// a request's time-out of 30 s.
	soon = 20 * time.Second
)

// quickly asserts that something can be done within a limit. One of five tries is
// enough, since the machine may be busy.
func quickly(t *testing.T, limit time.Duration, try func() (took time.Duration)) {
	t.Helper()
	var took []time.Duration
	for range 5 {
		d := try()
		if d <= limit {
			return
		}
		took = append(took, d)
	}
	t.Errorf("it took %v, never up to %v", took, limit)
}

// RelayDialer is the suite of ports.RelayDialer and ports.RelayConn. Each
// fresh is a relay of its own.
func RelayDialer(t *testing.T, fresh func(*testing.T, RelayScript) RelayServer) {
	names(t, "RelayDialer")
	hello := ports.RelayHello{
		AgentID: "6b0f4a3e-8b1c-4d59-9a4e-0c1d2e3f4a5b", MachineUID: "muid_" + strings.Repeat("0123456789abcdef", 4),
		Hostname: "desk 17 & co?/ü", Key: ports.NewSecret("cak_contract+/=%&0123456789"),
	}
	dial := func(t *testing.T, script RelayScript) (ports.RelayConn, RelayPeer) {
		t.Helper()
		server := fresh(t, script)
		ctx, cancel := context.WithCancel(t.Context())
		conn, err := server.Dialer.Dial(ctx, hello)
		cancel() // Dial's context is for dialing
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(canceled()) }) // most tests have ended it
		return conn, server.Peer()
	}

	t.Run("accepted", func(t *testing.T) {
		is := is.New(t)
		date := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
		server := fresh(t, RelayScript{Date: date})
		conn, err := server.Dialer.Dial(t.Context(), hello)
		is.NoErr(err)
		is.True(conn.ServerTime().Equal(date))
		is.Equal(len(server.Hellos()), 1)
		got := server.Hellos()[0]
		is.True(got.Key.Equal(hello.Key))
		got.Key = hello.Key
		is.Equal(got, hello)
		is.NoErr(conn.Close(t.Context()))
	})
	t.Run("a relay that does not tell its time", func(t *testing.T) {
		conn, _ := dial(t, RelayScript{})
		is.New(t).True(conn.ServerTime().IsZero())
	})
	t.Run("refused", func(t *testing.T) {
		for _, want := range []ports.RelayRefusedError{
			{Status: 401},
			{Status: 403},
			{Status: 401, Code: ports.RefusedUnknownAgent},
			{Status: 403, Code: ports.RefusedCredentialRevoked, ServerTime: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)},
		} {
			is := is.New(t)
			server := fresh(t, RelayScript{Refuse: &want, Date: want.ServerTime})
			_, err := server.Dialer.Dial(t.Context(), hello)
			var got *ports.RelayRefusedError
			is.True(errors.As(err, &got))
			is.True(errors.Is(err, ports.ErrRelayRefused))
			is.True(got.ServerTime.Equal(want.ServerTime))
			is.Equal(got.Status, want.Status)
			is.Equal(got.Code, want.Code)
			relayError(t, err)
			notBusy(t, err)
		}
	})
	t.Run("busy", func(t *testing.T) {
		date := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
		for _, want := range []ports.RelayBusyError{
			{Status: 503},
			{Status: 429, RetryAfter: "7"},
			{Status: 503, RetryAfter: "Tue, 06 May 2031 07:10:09 GMT", ServerTime: date},
			{Status: 429, RetryAfter: "soon", ServerTime: date}, // what it means is not the dialer's business
		} {
			is := is.New(t)
			server := fresh(t, RelayScript{Busy: &want, Date: want.ServerTime})
			_, err := server.Dialer.Dial(t.Context(), hello)
			var got *ports.RelayBusyError
			is.True(errors.As(err, &got))
			is.True(got.ServerTime.Equal(want.ServerTime))
			is.Equal(got.Status, want.Status)
			is.Equal(got.RetryAfter, want.RetryAfter)
			is.True(!errors.Is(err, ports.ErrRelayRefused))
			relayError(t, err)
		}
	})
	t.Run("unavailable", func(t *testing.T) {
		_, err := fresh(t, RelayScript{Unavailable: true}).Dialer.Dial(t.Context(), hello)
		relayError(t, err)
		notBusy(t, err)
		is.New(t).True(!errors.Is(err, ports.ErrRelayRefused))
	})
	t.Run("a context that is done", func(t *testing.T) {
		is := is.New(t)
		_, err := fresh(t, RelayScript{}).Dialer.Dial(canceled(), hello)
		is.True(errors.Is(err, context.Canceled))
		relayError(t, err)
	})
	t.Run("a context that ends while the relay is silent", func(t *testing.T) {
		quickly(t, promptly, func() time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := fresh(t, RelayScript{Hang: true}).Dialer.Dial(ctx, hello)
			took := time.Since(start)
			is.New(t).True(errors.Is(err, context.DeadlineExceeded))
			relayError(t, err)
			return took
		})
	})
	t.Run("frames to the relay", func(t *testing.T) {
		is := is.New(t)
		conn, peer := dial(t, RelayScript{})
		want := []ports.AgentStatus{
			{
				MachineUID: hello.MachineUID, Hostname: hello.Hostname, Version: "1.2.3", Uptime: 90 * time.Second,
				Certificate: ports.RelayCertificate{Status: ports.CertValid, NotAfter: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)},
			},
			{MachineUID: hello.MachineUID, Certificate: ports.RelayCertificate{Status: ports.CertNotConfigured}},
		}
		for _, status := range want {
			is.NoErr(conn.Send(t.Context(), status))
		}
		eventually(t, "the frames arrive", func() bool { return len(peer.Sent()) == len(want) })
		is.Equal(peer.Sent(), want)
	})
	t.Run("frames from the relay", func(t *testing.T) {
		is := is.New(t)
		conn, peer := dial(t, RelayScript{})
		for _, name := range []string{ports.FrameRenewCertificates, "something_newer", ports.FrameReenroll} {
			peer.Push(ports.RelayFrame{Type: name})
			frame, err := conn.Receive(t.Context())
			is.NoErr(err)
			is.Equal(frame.Type, name)
		}
	})
	t.Run("a frame's type that is not fit for a log", func(t *testing.T) {
		is := is.New(t)
		conn, peer := dial(t, RelayScript{})
		for _, name := range []string{
			"cak_contract0123456789", "x.CEK_contract", "two words", "a\x1b[31m", "naïve", strings.Repeat("x", 41), "camelCase", "<script>",
		} {
			peer.Push(ports.RelayFrame{Type: name})
			frame, err := conn.Receive(t.Context())
			is.NoErr(err)
			is.Equal(frame.Type, "") // nothing of it
		}
	})
	t.Run("receive until the context ends", func(t *testing.T) {
		is := is.New(t)
		conn, _ := dial(t, RelayScript{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := conn.Receive(ctx)
		is.True(errors.Is(err, context.DeadlineExceeded))
		relayError(t, err)
	})
	t.Run("pings while frames come and go", func(t *testing.T) {
		is := is.New(t)
		conn, peer := dial(t, RelayScript{})
		received := receiving(conn)
		for range 3 {
			peer.Push(ports.RelayFrame{Type: "something_newer"})
			is.NoErr(conn.Send(t.Context(), ports.AgentStatus{}))
			is.NoErr(conn.Ping(within(t, soon)))
		}
		is.NoErr(conn.Close(t.Context()))
		relayError(t, <-received)
	})
	t.Run("many send and ping at once while one receives", func(t *testing.T) {
		is := is.New(t)
		conn, peer := dial(t, RelayScript{})
		received := receiving(conn)
		ctx := within(t, time.Minute)
		var wg sync.WaitGroup
		const senders = 8
		for n := range senders {
			wg.Go(func() {
				if err := conn.Send(ctx, ports.AgentStatus{Version: fmt.Sprint(n)}); err != nil {
					t.Errorf("Send: %v", err)
				}
				if err := conn.Ping(ctx); err != nil {
					t.Errorf("Ping: %v", err)
				}
			})
		}
		wg.Wait()
		eventually(t, "the frames arrive", func() bool { return len(peer.Sent()) == senders })
		seen := map[string]bool{}
		for _, s := range peer.Sent() {
			seen[s.Version] = true
		}
		is.Equal(len(seen), senders)
		is.NoErr(conn.Close(within(t, soon)))
		relayError(t, <-received)
	})
	t.Run("a ping without a pong", func(t *testing.T) {
		is := is.New(t)
		quickly(t, promptly, func() time.Duration {
			conn, peer := dial(t, RelayScript{})
			received := receiving(conn)
			peer.Stall()
			start := time.Now()
			err := conn.Ping(within(t, 50*time.Millisecond))
			pinged := time.Since(start)
			is.True(errors.Is(err, context.DeadlineExceeded))
			relayError(t, err)

			start = time.Now()
			err = conn.Close(within(t, 50*time.Millisecond))
			closed := time.Since(start)
			is.True(errors.Is(err, context.DeadlineExceeded)) // a close that is not confirmed
			relayError(t, <-received)
			ended(t, conn)
			return max(pinged, closed)
		})
	})
	t.Run("dropped", func(t *testing.T) {
		conn, peer := dial(t, RelayScript{})
		received := receiving(conn)
		peer.Drop()
		relayError(t, <-received)
		ended(t, conn)
	})
	t.Run("closed", func(t *testing.T) {
		is := is.New(t)
		conn, peer := dial(t, RelayScript{})
		received := receiving(conn)
		is.NoErr(conn.Close(within(t, soon)))
		relayError(t, <-received)
		eventually(t, "the close frame arrives", peer.ClosedNormally)
		ended(t, conn)
	})
	t.Run("closed while nobody receives", func(t *testing.T) {
		is := is.New(t)
		conn, peer := dial(t, RelayScript{})
		is.NoErr(conn.Close(within(t, soon)))
		eventually(t, "the close frame arrives", peer.ClosedNormally)
		ended(t, conn)
	})
}

// receiving receives until that fails, and then sends the error.
func receiving(conn ports.RelayConn) <-chan error {
	done := make(chan error, 1)
	go func() {
		for {
			if _, err := conn.Receive(context.Background()); err != nil {
				done <- err
				return
			}
		}
	}()
	return done
}

// ended checks that every method of an ended connection says so at once.
func ended(t *testing.T, conn ports.RelayConn) {
	t.Helper()
	is := is.New(t)
	quickly(t, promptly, func() time.Duration {
		start := time.Now()
		_, err := conn.Receive(t.Context())
		relayError(t, err)
		relayError(t, conn.Send(t.Context(), ports.AgentStatus{}))
		relayError(t, conn.Ping(t.Context()))
		is.NoErr(conn.Close(t.Context()))
		is.NoErr(conn.Close(canceled()))
		return time.Since(start)
	})
}

func relayError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, secret := range []string{"cak_", "contract", "api_key", "0123456789"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q in %q", secret, err)
		}
	}
}

// notBusy checks that an error asks for no wait.
func notBusy(t *testing.T, err error) {
	t.Helper()
	var busy *ports.RelayBusyError
	if errors.As(err, &busy) {
		t.Errorf("busy, with Retry-After %q, in %v", busy.RetryAfter, err)
	}
}

func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
