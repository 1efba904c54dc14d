//go:build systemd

package systemdtest

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/muster-agent/muster/e2e/control"
)

const (
	site = "ACME-HQ"
	// enrollmentKey is the site's key in these tests.
	enrollmentKey = "cek_SystemdSystemdSystemdSyst"

	enrollPath   = "/api/enroll"
	relayPath    = "/ws/agent"
	registerPath = "/api/v1/enroll"
)

// server is a running fakeserver.
type server struct{ *control.Server }

// startServer starts a fakeserver with one site.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	const ca = "/etc/fakeserver-ca.pem" // the service has a /tmp of its own
	cmd := exec.Command(insidePrograms+"/fakeserver", append([]string{
		"serve", "--addr", "127.0.0.1:0", "--ca-out", ca, "--site", site + "=" + enrollmentKey,
	}, args...)...)
	return &server{control.Start(t, cmd, cmd.Start)}
}

// answers puts these faults in the place of all others, in one step.
func (s *server) answers(faults []fault) {
	s.T.Helper()
	list := make([]any, 0, len(faults))
	for _, f := range faults {
		list = append(list, f.message())
	}
	s.CallWith("PUT", "/_fake/faults", list)
}

// fault is what a path is answered with in place of the server's own answer.
type fault struct {
	path   string
	status int
	body   string
}

func (f fault) message() any {
	return map[string]any{
		"match":  map[string]string{"path": f.path},
		"action": map[string]any{"status": f.status, "body": f.body},
	}
}

// requests is how many there were to a path.
func (s *server) requests(path string) int { s.T.Helper(); return len(s.RequestsTo(path)) }

// onlyMachine waits until one machine, which was enrolled so often, is
// connected, and asserts that there is no other.
func (s *server) onlyMachine(enrollments int) {
	s.T.Helper()
	eventually(s.T, func() string {
		w := s.State()
		if len(w.Machines) != 1 || !w.Machines[0].Connected || w.Machines[0].Enrollments != enrollments {
			return fmt.Sprintf("want one machine, enrolled %d times and connected: %+v", enrollments, w.Machines)
		}
		return ""
	})
}

// certificates is how many the manager has issued.
func (s *server) certificates() int {
	s.T.Helper()
	n := 0
	for _, e := range s.Hosts() {
		n += len(e.Certificates)
	}
	return n
}

// newest is the manager's newest registration.
func (s *server) newest() string {
	s.T.Helper()
	all := s.Hosts()
	return all[len(all)-1].ID
}

// disconnect cuts the relay connection of a machine, once the server knows it:
// an agent may know that it is connected before.
func (s *server) disconnect(machineUID string) {
	s.T.Helper()
	eventually(s.T, func() string {
		for _, m := range s.State().Machines {
			if m.MachineUID == machineUID && m.Connected {
				return ""
			}
		}
		return "the machine is not connected"
	})
	s.Call("POST", "/_fake/relay/"+machineUID+"/close", "")
}
