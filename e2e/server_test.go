package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	site = "ACME-HQ"
	// enrollmentKey is the site's key in these tests.
	enrollmentKey = "cek_e2eE2Ee2eE2Ee2eE2Ee2eE2E"

	enrollPath = "/api/enroll"
	relayPath  = "/ws/agent"
)

// server is a running fakeserver.
type server struct {
	t   *testing.T
	URL string `json:"url"`
	CA  string `json:"ca_file"`

	client *http.Client
	cmd    *exec.Cmd
	errs   *bytes.Buffer // its standard error; to be read once it has stopped
}

// of is the server for a subtest, to fail that one.
func (s *server) of(t *testing.T) *server {
	same := *s
	same.t = t
	return &same
}

// startServer starts a fakeserver with one site.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	ca := filepath.Join(publicDir(t), "server-ca.pem")
	return serve(t, append([]string{"--ca-out", ca, "--site", site + "=" + enrollmentKey}, args...)...)
}

func serve(t *testing.T, args ...string) *server {
	t.Helper()
	cmd := exec.Command(fakeserver, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, cmd: cmd, errs: new(bytes.Buffer)}
	cmd.Stderr = s.errs
	cmd.WaitDelay = lastWords
	if err := begin(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	if err := json.NewDecoder(out).Decode(s); err != nil {
		s.stop()
		t.Fatalf("the fake server did not get ready: %v\n%s", err, s.errs)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	s.client = &http.Client{Transport: trusting(t, s.CA), Timeout: patience}
	return s
}

func (s *server) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill() // it may have ended already
		_ = s.cmd.Wait()         // it was killed
	}
}

// publicDir is a directory for what other users' processes may read.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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

// action is a fault's action, as fakeserver reads it.
type action struct {
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Delay   string            `json:"delay,omitempty"`
	Drop    string            `json:"drop,omitempty"`
	Corrupt bool              `json:"corrupt,omitempty"`
}

// fault lets requests to a path go wrong: times of them, or all if 0. An empty
// path is every path.
func (s *server) fault(path string, times int, a action) {
	s.t.Helper()
	match := map[string]string{}
	if path != "" {
		match["path"] = path
	}
	fault := map[string]any{"match": match, "action": a}
	if times > 0 {
		fault["times"] = times
	}
	body, err := json.Marshal(fault)
	if err != nil {
		s.t.Fatal(err)
	}
	s.call("POST", "/_fake/faults", string(body))
}

// refuse lets every enrollment fail with a status.
func (s *server) refuse(status int) {
	s.t.Helper()
	s.fault(enrollPath, 0, action{Status: status})
}

// heal takes all faults back.
func (s *server) heal() { s.t.Helper(); s.call("DELETE", "/_fake/faults", "") }

// request is one that the server got.
type request struct {
	Method, Path, Query string
	Status              int
	Dropped, Fault      bool
	Time                time.Time
	Body                json.RawMessage
}

func (s *server) requests() []request {
	s.t.Helper()
	var list []request
	decode(s.t, s.call("GET", "/_fake/requests", ""), &list)
	return list
}

// requestsTo are those to a path.
func (s *server) requestsTo(path string) []request {
	s.t.Helper()
	var list []request
	for _, r := range s.requests() {
		if r.Path == path {
			list = append(list, r)
		}
	}
	return list
}

// enrollments is how often a key was asked for.
func (s *server) enrollments() int { s.t.Helper(); return len(s.requestsTo(enrollPath)) }

// connections is how often a relay connection was asked for.
func (s *server) connections() int { s.t.Helper(); return len(s.requestsTo(relayPath)) }

// asked waits until a path was asked for n times and returns these requests.
func (s *server) asked(path string, n int) []request {
	s.t.Helper()
	var list []request
	eventually(s.t, func() string {
		if list = s.requestsTo(path); len(list) >= n {
			return ""
		}
		return fmt.Sprintf("%s got %d requests, not %d", path, len(list), n)
	})
	return list
}

// world is what the server knows.
type world struct {
	RelayConnections int `json:"relay_connections"`
	Machines         []struct {
		MachineUID  string `json:"machine_uid"`
		SiteCode    string `json:"site_code"`
		Hostname    string
		Enrollments int
		Connected   bool
		Collision   *struct{ Attempts int }
	}
	Relay []struct {
		MachineUID string `json:"machine_uid"`
		AgentID    string `json:"agent_id"`
		Hostname   string
		Auth       string
		Connection int
		Frames     int
		LastStatus *struct {
			MachineUID string `json:"machine_uid"`
			Version    string
		} `json:"last_status"`
	}
}

func (s *server) state() world {
	s.t.Helper()
	var w world
	decode(s.t, s.call("GET", "/_fake/state", ""), &w)
	return w
}

// onlyMachine asserts that the server knows one machine, which is m, and that
// it is connected.
func (s *server) onlyMachine(m *machine) {
	s.t.Helper()
	eventually(s.t, func() string {
		w := s.state()
		switch {
		case len(w.Machines) != 1:
			return fmt.Sprintf("the server knows %d machines, not one", len(w.Machines))
		case w.Machines[0].MachineUID != m.uid:
			return "the server knows another machine"
		case !w.Machines[0].Connected || len(w.Relay) != 1:
			return fmt.Sprintf("the machine is not connected: %+v", w)
		}
		return ""
	})
}

// relayConnections waits until the relay has had n connections: an agent may log
// that it is connected before the server counts it.
func (s *server) relayConnections(n int) {
	s.t.Helper()
	eventually(s.t, func() string {
		if got := s.state().RelayConnections; got != n {
			return fmt.Sprintf("the relay has had %d connections, not %d", got, n)
		}
		return ""
	})
}

// decode reads JSON.
func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
}

// eventually polls until ok says "".
func eventually(t *testing.T, ok func() string) {
	t.Helper()
	eventuallyWithin(t, patience, ok)
}

// quickly asserts that something takes no longer than a limit. The machine may
// be busy, so that it is enough if one of five tries does not.
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

func eventuallyWithin(t *testing.T, limit time.Duration, ok func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		why := ok()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(why)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
