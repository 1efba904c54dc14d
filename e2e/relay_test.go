package e2e

import (
	"net/http"
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
