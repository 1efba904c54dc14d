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

// What the relay sees bears the time at which it came.
func TestRelayInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		var r Relay
		start := time.Now()
		is.Equal(r.Last(), nil)
		conn, err := r.Dial(t.Context(), ports.RelayHello{AgentID: "a"})
		is.NoErr(err)
		is.Equal(r.Dials(), []Handshake{{Hello: ports.RelayHello{AgentID: "a"}, At: start}})
		is.Equal(len(r.Open()), 1)
		time.Sleep(30 * time.Second)
		is.NoErr(conn.Send(t.Context(), ports.AgentStatus{Version: "1"}))
		is.Equal(r.Last().Sent(), []SentStatus{{ports.AgentStatus{Version: "1"}, start.Add(30 * time.Second)}})

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		is.True(errors.Is(conn.Ping(ctx), context.DeadlineExceeded)) // nobody receives its pong
		is.Equal(r.Last().Pings(), []time.Time{start.Add(30 * time.Second)})
		r.Last().Push(ports.RelayFrame{Type: ports.FrameReenroll})
		r.Last().Drop()
		is.Equal(len(r.Open()), 0)
		frame, err := conn.Receive(t.Context())
		is.NoErr(err) // it came before the connection broke
		is.Equal(frame.Type, ports.FrameReenroll)
		_, err = conn.Receive(t.Context())
		is.True(err != nil)                 // the connection has broken
		is.True(!r.Last().ClosedNormally()) // the agent did not close it
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
