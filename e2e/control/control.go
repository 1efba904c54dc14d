// Package control runs a fakeserver program for the tests that drive the real
// programs, and has its control API for them.
package control

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Patience bounds every wait for something that should happen soon: generous,
// because test machines are slow and busy.
const Patience = time.Minute

// Server is a running fakeserver: of a site, of its relay and of a manager.
type Server struct {
	T   *testing.T `json:"-"` // which fails if a call does
	URL string     `json:"url"`
	CA  string     `json:"ca_file"` // empty if it speaks plain HTTP

	// Errs is its standard error; to be read once it has stopped.
	Errs *bytes.Buffer `json:"-"`

	client *http.Client
	cmd    *exec.Cmd
}

// Start waits until the fakeserver that begin starts, by the command, is ready.
// It ends with the test.
func Start(t *testing.T, cmd *exec.Cmd, begin func() error) *Server {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{T: t, cmd: cmd, Errs: new(bytes.Buffer)}
	cmd.Stderr = s.Errs
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if err := json.NewDecoder(out).Decode(s); err != nil {
		s.Stop()
		t.Fatalf("the fake server did not get ready: %v\n%s", err, s.Errs)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	s.client = &http.Client{Timeout: Patience}
	if s.CA != "" {
		s.client.Transport = Trusting(t, s.CA)
	}
	return s
}

// Stop ends it, if it has not ended.
func (s *Server) Stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill() // it may have ended already
		_ = s.cmd.Wait()         // it was killed
	}
}

// Call uses the control API; a status other than 2xx fails the test.
func (s *Server) Call(method, path, body string) []byte {
	s.T.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		s.T.Fatalf("%s %s: %s\n%s", method, path, resp.Status, answer)
	}
	return answer
}

// CallWith is Call with a message.
func (s *Server) CallWith(method, path string, message any) {
	s.T.Helper()
	text, err := json.Marshal(message)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Call(method, path, string(text))
}

// Request is one that the server got.
type Request struct {
	Path   string
	Status int
	Fault  bool
	Body   json.RawMessage
}

// Requests are all that it got, oldest first.
func (s *Server) Requests() []Request {
	s.T.Helper()
	var list []Request
	Decode(s.T, s.Call("GET", "/_fake/requests", ""), &list)
	return list
}

// RequestsTo are those to a path.
func (s *Server) RequestsTo(path string) []Request {
	s.T.Helper()
	var list []Request
	for _, r := range s.Requests() {
		if r.Path == path {
			list = append(list, r)
		}
	}
	return list
}

// Known is what the server knows.
type Known struct {
	RelayConnections int `json:"relay_connections"`
	Machines         []struct {
		MachineUID  string `json:"machine_uid"`
		Enrollments int
		Connected   bool
	}
	Relay []struct {
		MachineUID string `json:"machine_uid"`
		AgentID    string `json:"agent_id"`
		Hostname   string
		Auth       string
		Connection int
		Frames     int
		LastStatus *struct{ Version string } `json:"last_status"`
	}
	Enrollments []Host // oldest first
}

// Host is a registration that the manager knows.
type Host struct {
	ID           string
	CSR          bool
	Certificates []struct{ Serial string }
}

// State asks for what it knows.
func (s *Server) State() Known {
	s.T.Helper()
	var k Known
	Decode(s.T, s.Call("GET", "/_fake/state", ""), &k)
	return k
}

// Hosts are the manager's registrations, oldest first.
func (s *Server) Hosts() []Host { s.T.Helper(); return s.State().Enrollments }

// Decide is an operator's word: approve, deny, remove or revoke.
func (s *Server) Decide(id, what string) {
	s.T.Helper()
	s.Call("POST", "/_fake/enrollments/"+id+"/"+what, "")
}

// Registered waits for the n-th registration and returns it.
func (s *Server) Registered(n int) Host {
	s.T.Helper()
	var list []Host
	Eventually(s.T, Patience, 20*time.Millisecond, func() string {
		if list = s.Hosts(); len(list) >= n {
			return ""
		}
		return fmt.Sprintf("the manager knows %d registrations, not %d", len(list), n)
	})
	return list[n-1]
}

// Decode reads JSON.
func Decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
}

// Trusting is a transport that trusts the CA in a file.
func Trusting(t *testing.T, caFile string) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", caFile)
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// Eventually polls, with pauses and up to a limit, until ok says "".
func Eventually(t *testing.T, limit, pause time.Duration, ok func() string) {
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
		time.Sleep(pause)
	}
}

// Lanes has that many tests run at a time, unless the command line says
// otherwise. It is for a TestMain.
func Lanes(n string) {
	flag.Parse()
	byHand := false
	flag.Visit(func(f *flag.Flag) { byHand = byHand || f.Name == "test.parallel" })
	if byHand {
		return
	}
	if err := flag.Set("test.parallel", n); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
