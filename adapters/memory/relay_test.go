package memory

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// A connection's life in virtual time, and nothing left behind: the bubble
// would complain of a goroutine that stays.
func TestInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		var s Relay
		start := time.Now()
		is.Equal(s.Last(), nil)
		conn, err := s.Dial(t.Context(), ports.RelayHello{AgentID: "a"})
		is.NoErr(err)
		is.Equal(s.Dials(), []Handshake{{Hello: ports.RelayHello{AgentID: "a"}, At: start}})
		is.Equal(len(s.Open()), 1)

		received := make(chan error)
		go func() {
			for {
				if _, err := conn.Receive(t.Context()); err != nil {
					received <- err
					return
				}
			}
		}()
		time.Sleep(30 * time.Second)
		is.NoErr(conn.Ping(t.Context()))
		is.NoErr(conn.Send(t.Context(), ports.AgentStatus{Version: "1"}))
		is.Equal(s.Last().Pings(), []time.Time{start.Add(30 * time.Second)})
		is.Equal(s.Last().Sent(), []SentStatus{{ports.AgentStatus{Version: "1"}, start.Add(30 * time.Second)}})

		s.Last().StopPongs()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		is.True(errors.Is(conn.Ping(ctx), context.DeadlineExceeded))
		is.Equal(time.Since(start), 40*time.Second)
		s.Last().Drop()
		is.True(<-received != nil)
		is.Equal(s.Last().Ended(), start.Add(40*time.Second))
		is.True(!s.Last().ClosedNormally())
		is.Equal(len(s.Open()), 0)
	})
}

// Frames that came before the end are received; a ping needs a Receive.
func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		var s Relay
		conn, err := s.Dial(t.Context(), ports.RelayHello{})
		is.NoErr(err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		is.True(conn.Ping(ctx) != nil)
		s.Last().Push(ports.RelayFrame{Type: ports.FrameReenroll})
		s.Last().Drop()
		frame, err := conn.Receive(t.Context())
		is.NoErr(err)
		is.Equal(frame.Type, ports.FrameReenroll)
		_, err = conn.Receive(t.Context())
		is.True(err != nil)
	})
}

func TestRelayContract(t *testing.T) {
	t.Parallel()
	contracttest.RelayDialer(t, func(_ *testing.T, script contracttest.RelayScript) contracttest.RelayServer {
		s := &Relay{
			Date: func() time.Time { return script.Date },
			Accept: func(ctx context.Context, _ ports.RelayHello) error {
				switch {
				case script.Refuse != nil:
					return script.Refuse
				case script.Busy != nil:
					return script.Busy
				case script.Unavailable:
					return errors.New("the relay answered 500")
				case script.Hang:
					<-ctx.Done()
				}
				return nil
			},
		}
		return contracttest.RelayServer{
			Dialer: s,
			Hellos: func() (out []ports.RelayHello) {
				for _, d := range s.Dials() {
					out = append(out, d.Hello)
				}
				return out
			},
			Peer: func() contracttest.RelayPeer { return peer{s.Last()} },
		}
	})
}

type peer struct{ *RelayConn }

func (p peer) Stall() { p.StopPongs() }

func (p peer) Sent() (out []ports.AgentStatus) {
	for _, s := range p.RelayConn.Sent() {
		out = append(out, s.AgentStatus)
	}
	return out
}
