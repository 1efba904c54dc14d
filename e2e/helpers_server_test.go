package e2e

import (
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
	"sync"
	"testing"
	"time"

	"github.com/muster-agent/muster/e2e/control"
)

const (
	site = "ACME-HQ"
	// enrollmentKey is the site's key in these tests.
	enrollmentKey = "cek_e2eE2Ee2eE2Ee2eE2Ee2eE2E"

	enrollPath = "/api/enroll"
	relayPath  = "/ws/agent"
)

// server is a running fakeserver.
type server struct{ *control.Server }

// of is the server for a subtest, to fail that one.
func (s *server) of(t *testing.T) *server {
	same := *s.Server
	same.T = t
	return &server{&same}
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
	cmd.WaitDelay = lastWords
	return &server{control.Start(t, cmd, func() error { return begin(cmd) })}
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
	s.T.Helper()
	match := map[string]string{}
	if path != "" {
		match["path"] = path
	}
	fault := map[string]any{"match": match, "action": a}
	if times > 0 {
		fault["times"] = times
	}
	s.CallWith("POST", "/_fake/faults", fault)
}

// refuse lets every enrollment fail with a status.
func (s *server) refuse(status int) {
	s.T.Helper()
	s.fault(enrollPath, 0, action{Status: status})
}

// heal takes all faults back.
func (s *server) heal() { s.T.Helper(); s.Call("DELETE", "/_fake/faults", "") }

// enrollments is how often a key was asked for.
func (s *server) enrollments() int { s.T.Helper(); return len(s.RequestsTo(enrollPath)) }

// connections is how often a relay connection was asked for.
func (s *server) connections() int { s.T.Helper(); return len(s.RequestsTo(relayPath)) }

// asked waits until a path was asked for n times and returns these requests.
func (s *server) asked(path string, n int) []control.Request {
	s.T.Helper()
	var list []control.Request
	eventually(s.T, func() string {
		if list = s.RequestsTo(path); len(list) >= n {
			return ""
		}
		return fmt.Sprintf("%s got %d requests, not %d", path, len(list), n)
	})
	return list
}

// onlyMachine asserts that the server knows one machine, which is m, and that
// it is connected.
func (s *server) onlyMachine(m *machine) {
	s.T.Helper()
	eventually(s.T, func() string {
		w := s.State()
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
	s.T.Helper()
	eventually(s.T, func() string {
		if got := s.State().RelayConnections; got != n {
			return fmt.Sprintf("the relay has had %d connections, not %d", got, n)
		}
		return ""
	})
}

// eventually polls until ok says "".
func eventually(t *testing.T, ok func() string) {
	t.Helper()
	control.Eventually(t, patience, 20*time.Millisecond, ok)
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

// send lets the relay send a frame to the machine, once it is connected.
func (s *server) send(m *machine, frame string) {
	s.T.Helper()
	s.joined(m)
	s.Call("POST", "/_fake/relay/"+m.uid+"/send", frame)
}

// cut cuts the machine's relay connection, once there is one, and waits until
// the server has forgotten it.
func (s *server) cut(m *machine) {
	s.T.Helper()
	connection := s.joined(m)
	s.Call("POST", "/_fake/relay/"+m.uid+"/close", "")
	eventually(s.T, func() string {
		for _, session := range s.State().Relay {
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
	s.T.Helper()
	eventually(s.T, func() string {
		accepted := 0
		for _, r := range s.RequestsTo(relayPath) {
			if r.Status == http.StatusSwitchingProtocols && !r.Fault {
				accepted++
			}
		}
		w := s.State()
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
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: control.Trusting(t, to.CA)}
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
