package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/matryer/is"
)

// It is measured how fast the agent ends, so this test runs before all that run
// beside each other.
func TestToldToStopItEndsWithinASecond(t *testing.T) {
	for name, test := range map[string]struct {
		set   func(s *server, m *machine)
		ready func(t *testing.T, s *server, a *agent)
	}{
		"while it waits for an operator's decision": {
			func(s *server, _ *machine) { s.fault(enrollPath, 0, action{Status: 202}) },
			func(_ *testing.T, _ *server, a *agent) { a.logged("enroll.pending", 1) },
		},
		"while it waits for an operator to act": {
			func(s *server, _ *machine) { s.refuse(401) },
			func(_ *testing.T, _ *server, a *agent) { a.logged("enroll.rejected", 1) },
		},
		"while it waits for the server to recover": {
			func(s *server, _ *machine) {
				s.fault(enrollPath, 0, action{Status: 503, Headers: map[string]string{"Retry-After": "600"}})
			},
			func(_ *testing.T, _ *server, a *agent) { a.logged("enroll.retry", 1) },
		},
		"while an enrollment hangs": {
			func(s *server, _ *machine) { s.fault(enrollPath, 0, action{Delay: "1h"}) },
			func(_ *testing.T, s *server, _ *agent) { s.asked(enrollPath, 1) },
		},
		"while a relay connection hangs": {
			func(s *server, _ *machine) { s.fault(relayPath, 0, action{Delay: "1h"}) },
			func(_ *testing.T, s *server, _ *agent) { s.asked(relayPath, 1) },
		},
		"while the relay refuses it": {
			func(s *server, _ *machine) { s.fault(relayPath, 0, action{Status: 401}) },
			func(_ *testing.T, _ *server, a *agent) { a.logged("credential.refused", 1) },
		},
		"while it is connected": {
			func(*server, *machine) {},
			func(_ *testing.T, _ *server, a *agent) { a.connected() },
		},
		"while it waits for another process's enrollment": {
			func(s *server, m *machine) {
				s.fault(enrollPath, 0, action{Status: 202})
				m.start("enroll").said("operator")
			},
			func(_ *testing.T, _ *server, a *agent) { a.logged("lock", 1) },
		},
	} {
		for _, sig := range toStop {
			t.Run(name+", "+sig.String(), func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				quickly(t, time.Second, func() time.Duration {
					s := startServer(t)
					m := newMachine(t, s)
					m.shippedDelays()
					test.set(s, m)
					a := m.start()
					test.ready(t, s, a)
					code, took := a.signal(sig)
					is.Equal(code, 0)
					a.logged("stopping", 1)
					return took
				})
			})
		}
	}
}

func TestTheRelayGetsANormalClose(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	accepted, closed := make(chan *http.Request, 1), make(chan websocket.StatusCode, 1)
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		accepted <- r
		for err == nil {
			_, _, err = conn.Read(context.Background())
		}
		closed <- websocket.CloseStatus(err)
	}))
	defer relay.Close()

	m := newMachine(t, s)
	m.env["MUSTER_RELAY_URL"] = "ws" + strings.TrimPrefix(relay.URL, "http") // an empty path means /ws/agent
	a := m.start().connected()
	is.Equal((<-accepted).URL.Path, relayPath)
	is.Equal(first(a.stop()), 0)
	is.Equal(<-closed, websocket.StatusNormalClosure)
	is.Equal(s.connections(), 0) // the relay is elsewhere
}

func TestARelayThatDoesNotSayGoodbyeHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	quit := make(chan struct{})
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := websocket.Accept(w, r, nil); err == nil {
			<-quit // reads nothing, answers nothing
		}
	}))
	defer relay.Close()
	defer close(quit)

	quickly(t, 2*time.Second, func() time.Duration { // a second, and what a busy test machine adds
		m := newMachine(t, s)
		m.env["MUSTER_RELAY_URL"] = "ws" + strings.TrimPrefix(relay.URL, "http")
		a := m.start().connected()
		code, took := a.stop()
		is.Equal(code, 0)
		return took
	})
}
