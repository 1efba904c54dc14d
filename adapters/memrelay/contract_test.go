package memrelay

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.RelayDialer(t, func(_ *testing.T, script contracttest.RelayScript) contracttest.RelayServer {
		s := &Server{
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

type peer struct{ *Conn }

func (p peer) Stall() { p.StopPongs() }

func (p peer) Sent() (out []ports.AgentStatus) {
	for _, s := range p.Conn.Sent() {
		out = append(out, s.AgentStatus)
	}
	return out
}
