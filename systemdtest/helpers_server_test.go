//go:build systemd

package systemdtest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const (
	site = "ACME-HQ"
	// enrollmentKey is the site's key in these tests.
	enrollmentKey = "cek_SystemdSystemdSystemdSyst"

	enrollPath   = "/api/enroll"
	relayPath    = "/ws/agent"
	registerPath = "/api/v1/enroll"
)

// server is a running fakeserver: of a site, of its relay and of a manager.
type server struct {
	t   *testing.T
	URL string `json:"url"`
	CA  string `json:"ca_file"`

	client *http.Client
	cmd    *exec.Cmd
	errs   *bytes.Buffer // its standard error; to be read once it has stopped
}

// startServer starts a fakeserver with one site.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	const ca = "/etc/fakeserver-ca.pem" // the service has a /tmp of its own
	s := &server{t: t, errs: new(bytes.Buffer)}
	s.cmd = exec.Command(insidePrograms+"/fakeserver", append([]string{
		"serve", "--addr", "127.0.0.1:0", "--ca-out", ca, "--site", site + "=" + enrollmentKey,
	}, args...)...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.errs
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	if err := json.NewDecoder(out).Decode(s); err != nil {
		s.stop()
		t.Fatalf("the fake server did not get ready: %v\n%s", err, s.errs)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	roots := x509.NewCertPool()
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			t.Fatal(err)
		}
		roots.AppendCertsFromPEM(pem)
	}
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: patience}
	return s
}

func (s *server) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill() // it may have ended already
		_ = s.cmd.Wait()         // it was killed
	}
}

// call uses the control API; a status other than 2xx fails the test.
func (s *server) call(method, path, body string) []byte {
	s.t.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %s\n%s", method, path, resp.Status, answer)
	}
	return answer
}

// answers puts these faults in the place of all others, in one step.
func (s *server) answers(faults []fault) {
	s.t.Helper()
	list := make([]any, 0, len(faults))
	for _, f := range faults {
		list = append(list, f.message())
	}
	s.call("PUT", "/_fake/faults", s.encode(list))
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

func (s *server) encode(message any) string {
	s.t.Helper()
	text, err := json.Marshal(message)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// requests is how many there were to a path.
func (s *server) requests(path string) int {
	s.t.Helper()
	var list []struct{ Path string }
	s.decode(s.call("GET", "/_fake/requests", ""), &list)
	n := 0
	for _, r := range list {
		if r.Path == path {
			n++
		}
	}
	return n
}

// world is what the server knows.
type world struct {
	Machines []struct {
		MachineUID  string `json:"machine_uid"`
		Enrollments int
		Connected   bool
	}
	Enrollments []struct {
		ID, State    string
		Certificates []struct{ Serial string }
	}
}

func (s *server) state() world {
	s.t.Helper()
	var w world
	s.decode(s.call("GET", "/_fake/state", ""), &w)
	return w
}

func (s *server) decode(data []byte, into any) {
	s.t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		s.t.Fatalf("%v\n%s", err, data)
	}
}

// onlyMachine waits until one machine, which was enrolled so often, is
// connected, and asserts that there is no other.
func (s *server) onlyMachine(enrollments int) {
	s.t.Helper()
	eventually(s.t, func() string {
		w := s.state()
		if len(w.Machines) != 1 || !w.Machines[0].Connected || w.Machines[0].Enrollments != enrollments {
			return fmt.Sprintf("want one machine, enrolled %d times and connected: %+v", enrollments, w.Machines)
		}
		return ""
	})
}

// certificates is how many the manager has issued.
func (s *server) certificates() int {
	s.t.Helper()
	n := 0
	for _, e := range s.state().Enrollments {
		n += len(e.Certificates)
	}
	return n
}

// registered waits for the manager's first registration and returns its name.
func (s *server) registered() string {
	s.t.Helper()
	var id string
	eventually(s.t, func() string {
		w := s.state()
		if len(w.Enrollments) == 0 {
			return "nobody registered at the manager"
		}
		id = w.Enrollments[0].ID
		return ""
	})
	return id
}

// newest is the manager's newest registration.
func (s *server) newest() string {
	s.t.Helper()
	all := s.state().Enrollments
	return all[len(all)-1].ID
}

// disconnect cuts the relay connection of a machine, once the server knows it:
// an agent may know that it is connected before.
func (s *server) disconnect(machineUID string) {
	s.t.Helper()
	eventually(s.t, func() string {
		for _, m := range s.state().Machines {
			if m.MachineUID == machineUID && m.Connected {
				return ""
			}
		}
		return "the machine is not connected"
	})
	s.call("POST", "/_fake/relay/"+machineUID+"/close", "")
}

// decide is an operator's word: approve or deny.
func (s *server) decide(id, what string) {
	s.t.Helper()
	s.call("POST", "/_fake/enrollments/"+id+"/"+what, "")
}
