package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// send lets the relay send a frame to the machine, once it is connected.
func (s *server) send(m *machine, frame string) {
	s.t.Helper()
	s.joined(m)
	s.call("POST", "/_fake/relay/"+m.uid+"/send", frame)
}

// cut cuts the machine's relay connection, once there is one, and waits until
// the server has forgotten it.
func (s *server) cut(m *machine) {
	s.t.Helper()
	connection := s.joined(m)
	s.call("POST", "/_fake/relay/"+m.uid+"/close", "")
	eventually(s.t, func() string {
		for _, session := range s.state().Relay {
			if session.Connection == connection {
				return "the connection that was cut is still there"
			}
		}
		return ""
	})
}

// joined waits until the relay has the machine's newest connection and its first
// frame: an agent may log that it is connected before the server knows, which
// may not know either that the connection before has ended. It returns the
// number of the connection.
func (s *server) joined(m *machine) (connection int) {
	s.t.Helper()
	eventually(s.t, func() string {
		accepted := 0
		for _, r := range s.requestsTo(relayPath) {
			if r.Status == http.StatusSwitchingProtocols && !r.Fault {
				accepted++
			}
		}
		w := s.state()
		if w.RelayConnections < accepted {
			return "a connection that was accepted has not begun"
		}
		for _, session := range w.Relay {
			if session.MachineUID == m.uid && session.Frames > 0 {
				connection = session.Connection
				return ""
			}
		}
		return "the machine is not connected, or has not told its status"
	})
	return connection
}

func TestTheConnectionIsMadeAgain(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.delays(20*time.Millisecond, 40*time.Millisecond)
	a := m.start().connected()
	for n := 2; n <= 4; n++ {
		s.cut(m)
		is.Equal(a.logged("relay.disconnected", n-1).Class, "transient")
		a.logged("relay.connected", n)
	}
	s.onlyMachine(m)

	// A frame over 64 KiB ends the connection; one of just that size does not.
	s.send(m, fmt.Sprintf(`{"type":"big","padding":%q}`, strings.Repeat("x", 64<<10)))
	a.logged("relay.connected", 5)
	s.onlyMachine(m)
	frame := fmt.Sprintf(`{"type":"large","padding":%q}`, strings.Repeat("x", 64<<10-len(`{"type":"large","padding":""}`)))
	is.Equal(len(frame), 64<<10)
	s.send(m, frame)
	a.said(`"type":"large"`)
	is.Equal(s.connections(), 5)
	is.Equal(s.enrollments(), 1)
}

func TestTheRelaysRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	const asked = 2 * time.Second
	for _, status := range []int{429, 503} {
		for _, restarts := range []int{0, 3} {
			t.Run(fmt.Sprintf("%d, %d restarts", status, restarts), func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				s := startServer(t)
				s.fault(relayPath, 1, action{Status: status, Headers: map[string]string{"Retry-After": strconv.Itoa(int(asked / time.Second))}})
				m := newMachine(t, s)
				m.delays(10*time.Millisecond, 20*time.Millisecond)
				a := m.start()
				is.Equal(a.logged("relay.disconnected", 1).Class, "transient")
				for range restarts {
					a.kill()
					a = m.start()
					a.logged("starting", 1)
				}
				a.connected()
				tries := s.requestsTo(relayPath)
				is.True(len(tries) >= 2) // one more if a slow machine killed it at the second
				is.True(tries[1].Time.Sub(tries[0].Time) >= asked)
			})
		}
	}
}

func TestUnknownFramesAreIgnoredAndLoggedOnce(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	a := m.start().connected()
	s.onlyMachine(m)
	for _, frame := range []string{
		`{"type":"self_destruct"}`, `{"type":"self_destruct"}`, `{"type":["reenroll"]}`, `"reenroll"`, `reenroll`, `{}`, ``, `{"type":"Reenroll"}`, `{"type":"self_destruct"}`,
		`{"type":"last"}`,
	} {
		s.send(m, frame)
	}
	a.said(`"type":"last"`)
	is.Equal(strings.Count(a.log.String(), `"type":"self_destruct"`), 1)
	is.Equal(s.connections(), 1)
	is.Equal(s.enrollments(), 1)
}

func TestAReenrollFrameIsObeyedOnceAnHour(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.delays(20*time.Millisecond, 40*time.Millisecond)
	a := m.start().connected()
	s.onlyMachine(m)
	old, id := m.key(), m.agentID()

	s.refuse(503)
	s.send(m, `{"type":"reenroll"}`)
	a.logged("enroll.retry", 2)
	is.Equal(m.key(), old) // until there is a new one
	is.Equal(s.connections(), 1)
	s.heal()
	a.logged("relay.connected", 2)
	s.onlyMachine(m)
	is.True(m.key() != old)
	is.Equal(m.agentID(), id)
	retries, _ := a.log.lines("enroll.retry")
	enrollments := 1 + len(retries) + 1
	is.Equal(s.enrollments(), enrollments)

	ask := func(a *agent) {
		s.send(m, `{"type":"reenroll"}`)
		a.said("again within an hour")
	}
	ask(a)
	a.kill()
	a = m.start().connected()
	s.onlyMachine(m)
	ask(a)
	s.send(m, `{"type":"last"}`)
	a.said(`"type":"last"`)
	is.Equal(s.enrollments(), enrollments)
}

func TestARefusedKeyIsKeptAndUsedOnceItIsAcceptedAgain(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.delays(20*time.Millisecond, 40*time.Millisecond)
	a := m.start().connected()
	s.onlyMachine(m)
	key := m.read(credentialFile)

	for _, refusal := range []action{
		{Status: 401},
		{Status: 403, Body: "<html>forbidden</html>"},
		{Status: 401, Body: `{"code":"UNKNOWN_AGENT"}`},
		{Status: 401, Body: `{"code":"CREDENTIAL_REVOKED"}`},
		{Status: 401, Body: `{"code":"SOMETHING_ELSE"}`},
	} {
		s.fault(relayPath, 0, refusal)
		before, _ := a.log.lines("credential.refused")
		connected, _ := a.log.lines("relay.connected")
		s.cut(m)
		l := a.logged("credential.refused", len(before)+4) // more than the 3 after which a code counts, but not for 5 minutes
		is.Equal(l.Class, "transient")
		st := m.status()
		is.Equal(st.State, "connecting") // for 15 minutes
		is.Equal(st.Relay.State, "refused")
		is.True(strings.Contains(st.Relay.LastError, fmt.Sprint(refusal.Status)))
		is.Equal(st.code, 2)
		s.heal()
		a.logged("relay.connected", len(connected)+1)
		s.onlyMachine(m)
	}
	is.Equal(s.enrollments(), 1)
	is.True(bytes.Equal(m.read(credentialFile), key))
}
