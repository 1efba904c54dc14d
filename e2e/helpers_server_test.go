package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

// startServer starts a fakeserver with one site, and a manager that approves by
// itself unless args say otherwise.
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
	deadline := time.Now().Add(patience)
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

// host is a registration that the manager knows.
type host struct {
	ID, State    string
	CSR          bool
	Polls        int
	Certificates []struct {
		Serial  string
		Revoked bool
	}
}

// hosts are the manager's registrations, oldest first.
func (s *server) hosts() []host {
	s.t.Helper()
	var known struct{ Enrollments []host }
	decode(s.t, s.call("GET", "/_fake/state", ""), &known)
	return known.Enrollments
}

// decide is an operator's word: approve, deny, remove or revoke.
func (s *server) decide(id, what string) {
	s.t.Helper()
	s.call("POST", "/_fake/enrollments/"+id+"/"+what, "")
}

// registered waits for the n-th registration and returns it.
func (s *server) registered(n int) host {
	s.t.Helper()
	var list []host
	eventually(s.t, func() string {
		if list = s.hosts(); len(list) >= n {
			return ""
		}
		return fmt.Sprintf("the manager knows %d registrations, not %d", len(list), n)
	})
	return list[n-1]
}

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

// trusting is a transport that trusts the CA in a file.
func trusting(t *testing.T, caFile string) *http.Transport {
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

// writeFile makes a file that everybody may read.
func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(publicDir(t), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// port is a TCP port that refuses connections until it is opened, and then
// passes them on.
type port struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

// closedPort finds a port that nobody listens on. It lies below the ports that
// systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere),
// so that nobody gets it by chance.
func closedPort(t *testing.T) *port {
	t.Helper()
	for range 100 {
		p := &port{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(22_000)))}
		listener, err := net.Listen("tcp", p.addr)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		p.refuses()
		t.Cleanup(p.close)
		return p
	}
	t.Fatal("no port is free")
	return nil
}

// open passes connections on to an address.
func (p *port) open(to string) {
	p.t.Helper()
	listener := p.listen()
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			on, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close() // the agent sees a connection that broke
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, from, on)
			p.mu.Unlock()
			go pipe(from, on)
			go pipe(on, from)
		}
	}()
}

// listen takes the port. The socket that had it before may be open for a moment
// longer than its Close: in a child that another test has forked and that has
// not yet become another program.
func (p *port) listen() (listener net.Listener) {
	p.t.Helper()
	eventually(p.t, func() string {
		var err error
		if listener, err = net.Listen("tcp", p.addr); err != nil {
			return err.Error()
		}
		return ""
	})
	return listener
}

// refuses waits until the port refuses connections: as in listen, it may be
// open a moment longer than its listener.
func (p *port) refuses() {
	p.t.Helper()
	eventually(p.t, func() string {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			return ""
		}
		_ = conn.Close() // nobody is there
		return p.addr + " still takes connections"
	})
}

// pipe copies until one end closes, and then closes both.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // however it ended, it is over
	_ = to.Close()
	_ = from.Close()
}

// close refuses connections and cuts those that there are.
func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close() // it is over in any case
	}
	for _, c := range p.conns {
		_ = c.Close() // the same
	}
	p.listener, p.conns = nil, nil
}

// wiretap is an HTTPS server of its own that hears every byte of a request,
// secrets included, and passes it on to a fakeserver, unless it has an answer
// of its own.
type wiretap struct {
	URL, CA string

	pass http.HandlerFunc // passes a request on

	mu     sync.Mutex
	answer http.HandlerFunc
	heard  []string
}

// tap listens in front of a server. A nil answer passes everything on; another
// gets what does so.
func tap(t *testing.T, to *server, answer func(pass http.HandlerFunc) http.HandlerFunc) *wiretap {
	t.Helper()
	target, err := url.Parse(to.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: trusting(t, to.CA)}
	w := &wiretap{pass: proxy.ServeHTTP, answer: proxy.ServeHTTP}
	if answer != nil {
		w.answer = answer(w.pass)
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		dump, err := httputil.DumpRequest(r, true)
		if err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
		w.mu.Lock()
		w.heard = append(w.heard, string(dump))
		answer := w.answer
		w.mu.Unlock()
		answer(rw, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections() // ends answers that never end
		srv.Close()
	})
	w.URL = srv.URL
	w.CA = writeFile(t, "tap.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	return w
}

// passOn lets it pass on everything from now on.
func (w *wiretap) passOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = w.pass
}

// requests are all that it heard, as they came over the wire.
func (w *wiretap) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.heard...)
}

// always answers with a status.
func always(status int) func(http.HandlerFunc) http.HandlerFunc {
	return func(http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
}

// later is an answer that does not go out before it is told to, with the body
// for whoever is to look at it.
func later(handler http.HandlerFunc, r *http.Request) (body []byte, send func(http.ResponseWriter)) {
	answer := httptest.NewRecorder()
	handler(answer, r)
	return answer.Body.Bytes(), func(rw http.ResponseWriter) {
		maps.Copy(rw.Header(), answer.Header())
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes()) // a client that was killed needs no answer
	}
}
