package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muster-agent/muster/e2e/control"
)

// machine is a state directory and an environment: where an agent runs.
type machine struct {
	t    *testing.T
	uid  string
	dir  string
	home string
	env  map[string]string
	// sys is how its processes are started; nil for the usual way.
	sys *syscall.SysProcAttr
	// host is another name for its host (see asHost); empty for the usual one.
	host string
}

// newMachine is a fresh machine, configured for the server's site, with delays
// that suit a test.
func newMachine(t *testing.T, s *server) *machine {
	t.Helper()
	top := publicDir(t)
	m := &machine{t: t, uid: randomUID(), dir: filepath.Join(top, "state"), home: top}
	m.env = map[string]string{
		"MUSTER_STATE_DIR":   m.dir,
		"MUSTER_MACHINE_UID": m.uid,
		"MUSTER_LOG_LEVEL":   "debug",
		"MUSTER_LOG_FORMAT":  "json",
	}
	m.delays(200*time.Millisecond, 500*time.Millisecond)
	if s != nil {
		m.configure(s.URL, s.CA)
	}
	return m
}

func randomUID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "muid_" + hex.EncodeToString(b[:])
}

// twin is the machine as it is, with another state directory, in which nothing
// is stored.
func (m *machine) twin() *machine {
	m.t.Helper()
	twin := *m
	twin.home = publicDir(m.t)
	twin.dir = filepath.Join(twin.home, "state")
	twin.env = maps.Clone(m.env)
	twin.env["MUSTER_STATE_DIR"] = twin.dir
	return &twin
}

// configure points the machine at a server, for the site of these tests.
func (m *machine) configure(url, ca string) {
	m.env["MUSTER_SERVER_URL"] = url
	m.env["MUSTER_SITE_CODE"] = site
	m.env["MUSTER_ENROLLMENT_KEY"] = enrollmentKey
	m.env["MUSTER_TRUST_CA_FILE"] = ca
}

// delays sets all delay classes.
func (m *machine) delays(least, most time.Duration) {
	for _, class := range []string{"TRANSIENT", "PENDING", "OPERATOR"} {
		m.delay(class, least, most)
	}
}

// hasty has it try everything again soon.
func (m *machine) hasty() *machine {
	m.delays(20*time.Millisecond, 40*time.Millisecond)
	return m
}

// delay sets one class.
func (m *machine) delay(class string, least, most time.Duration) {
	m.env["MUSTER_"+class+"_MIN"], m.env["MUSTER_"+class+"_MAX"] = least.String(), most.String()
}

// shippedDelays leaves all classes as they ship.
func (m *machine) shippedDelays() {
	for _, class := range []string{"TRANSIENT", "PENDING", "OPERATOR"} {
		delete(m.env, "MUSTER_"+class+"_MIN")
		delete(m.env, "MUSTER_"+class+"_MAX")
	}
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, muster, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.home, "SystemRoot=" + os.Getenv("SystemRoot"), "GODEBUG=" + os.Getenv("GODEBUG")}
	for name, value := range m.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if m.host != "" {
		cmd.Path, cmd.Args = testBinary(m.t), append([]string{"another host", muster}, args...)
		cmd.Env = append(cmd.Env, hostVariable+"="+m.host)
	}
	cmd.SysProcAttr = m.sys
	cmd.WaitDelay = lastWords
	return cmd
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// result is how a command ended.
type result struct {
	out, errs string
	code      int
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", r.code, r.out, r.errs)
}

// do runs a command to its end.
func (m *machine) do(args ...string) result { m.t.Helper(); return m.answer("", args...) }

// answer runs a command to its end with something to read on standard input.
func (m *machine) answer(input string, args ...string) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := m.command(ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := begin(cmd); err != nil {
		m.t.Fatal(err)
	}
	_ = cmd.Wait() // its state says how it ended
	if ctx.Err() != nil {
		m.t.Fatalf("muster %v did not end\n%s%s", args, &out, &errs)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that ends with a code.
func (m *machine) must(code int, args ...string) result {
	m.t.Helper()
	r := m.answered(args...)
	if r.code != code {
		m.t.Fatalf("muster %v: want exit code %d\n%v", args, code, r)
	}
	return r
}

// answered is do for a command that asks a running agent, which may be too busy
// to answer within the 2 s that the command waits.
func (m *machine) answered(args ...string) (r result) {
	m.t.Helper()
	eventually(m.t, func() string {
		if r = m.do(args...); strings.Contains(r.errs, "not answering") {
			return r.String()
		}
		return ""
	})
	return r
}

// undecided runs `muster enroll` until it waits for an operator at a manager,
// and stops it then.
func (m *machine) undecided(args ...string) {
	m.t.Helper()
	a := m.start(append([]string{"enroll"}, args...)...)
	a.logged("enroll.pending", 1)
	if code := first(a.stop()); code != 2 {
		m.t.Fatalf("stopped before an operator's decision it ends with %d\n%s", code, a.log)
	}
}

// status is what `muster status --json` says.
type status struct {
	State      string
	MachineUID string `json:"machine_uid"`
	AgentID    string `json:"agent_id"`
	Credential struct {
		Present     bool
		Source      string
		Fingerprint string
	}
	Enrollment struct {
		Site struct {
			State       string
			Since       *time.Time
			NextAttempt *time.Time `json:"next_attempt"`
			LastError   string     `json:"last_error"`
		}
		Manager struct {
			State     string
			Polls     int
			LastError string `json:"last_error"`
		}
	}
	Certificate struct {
		Status   string
		NotAfter *time.Time `json:"not_after"`
		RenewAt  *time.Time `json:"renew_at"`
		Detail   string
	}
	Listener struct{ Addr string }
	Relay    struct {
		State     string
		LastError string `json:"last_error"`
	}
	ClockSkew *int `json:"clock_skew_seconds"`
	Blocked   string

	code int    // the command's exit code
	errs string // what it says instead of a status
}

func (m *machine) status() status {
	m.t.Helper()
	r := m.answered("status", "--json")
	s := status{code: r.code, errs: r.errs}
	if r.out != "" {
		if err := json.Unmarshal([]byte(r.out), &s); err != nil {
			m.t.Fatalf("%v\n%v", err, r)
		}
	}
	return s
}

// stands polls `muster status` until ok is true of it, and returns it.
func (m *machine) stands(ok func(status) bool) status {
	m.t.Helper()
	var last status
	eventually(m.t, func() string {
		if last = m.status(); ok(last) {
			return ""
		}
		return fmt.Sprintf("the status stays %+v", last)
	})
	return last
}

// is waits until the overall state is a certain one.
func (m *machine) is(state string) status {
	m.t.Helper()
	return m.stands(func(s status) bool { return s.State == state })
}

// agent is a running `muster run` (or another command that stays).
type agent struct {
	m   *machine
	cmd *exec.Cmd
	log *log
	end chan struct{} // closed when it has ended
}

// start starts `muster run`, or the command given.
func (m *machine) start(args ...string) *agent {
	m.t.Helper()
	a := m.launch(args...)
	m.t.Cleanup(func() {
		a.kill()
		if m.t.Failed() {
			m.t.Logf("what 'muster %s' in %s wrote:\n%s", strings.Join(a.cmd.Args[1:], " "), m.dir, a.log.tail())
		}
	})
	return a
}

// launch is start for one of many agents: nothing is shown when the test
// fails, and the caller sees to its end.
func (m *machine) launch(args ...string) *agent {
	m.t.Helper()
	if len(args) == 0 {
		args = []string{"run"}
	}
	a := &agent{m: m, cmd: m.command(context.Background(), args...), log: newLog(), end: make(chan struct{})}
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	addressable(a.cmd)
	if err := begin(a.cmd); err != nil {
		m.t.Fatal(err)
	}
	go func() {
		defer close(a.end)
		_ = a.cmd.Wait() // its state says how it ended
	}()
	return a
}

// kill ends it at once, as a power cut would.
func (a *agent) kill() {
	_ = a.cmd.Process.Kill() // it may have ended already
	<-a.end
}

// stop tells it to stop; it returns the exit code and how long it took.
func (a *agent) stop() (code int, took time.Duration) {
	a.m.t.Helper()
	return a.signal(toStop[0])
}

func (a *agent) signal(sig os.Signal) (code int, took time.Duration) {
	a.m.t.Helper()
	began := time.Now()
	if err := send(a.cmd.Process, sig); err != nil {
		a.m.t.Fatal(err)
	}
	return a.wait(), time.Since(began)
}

// wait waits for it to end by itself.
func (a *agent) wait() int {
	a.m.t.Helper()
	select {
	case <-a.end:
	case <-time.After(patience):
		a.m.t.Fatal("the agent did not end")
	}
	return a.cmd.ProcessState.ExitCode()
}

// runs asserts that the process is still the one that was started.
func (a *agent) runs() {
	a.m.t.Helper()
	select {
	case <-a.end:
		a.m.t.Fatalf("the agent has ended with %d", a.cmd.ProcessState.ExitCode())
	default:
	}
}

// connected waits until the agent says that it is connected.
func (a *agent) connected() *agent { a.m.t.Helper(); a.logged("relay.connected", 1); return a }

// logged waits until an event was logged n times, and returns the n-th line.
func (a *agent) logged(event string, n int) line {
	a.m.t.Helper()
	return a.await(event, n, func(line) bool { return true })
}

// waited is logged for lines that tell of a wait.
func (a *agent) waited(event string, n int) line {
	a.m.t.Helper()
	return a.await(event, n, func(l line) bool { return l.Wait != "" })
}

func (a *agent) await(event string, n int, which func(line) bool) line {
	a.m.t.Helper()
	deadline := time.After(patience)
	for {
		lines, changed := a.log.lines(event)
		lines = filter(lines, which)
		if len(lines) >= n {
			return lines[n-1]
		}
		select {
		case <-changed:
		case <-a.end:
			if lines, _ := a.log.lines(event); len(filter(lines, which)) < n {
				a.m.t.Fatalf("the agent ended with %d; %q was logged %d times, not %d\n%s", a.cmd.ProcessState.ExitCode(), event, len(lines), n, a.log.tail())
			}
		case <-deadline:
			a.m.t.Fatalf("%q was logged %d times, not %d\n%s", event, len(lines), n, a.log.tail())
		}
	}
}

// said waits until a text was written.
func (a *agent) said(text string) {
	a.m.t.Helper()
	eventually(a.m.t, func() string {
		if strings.Contains(a.log.String(), text) {
			return ""
		}
		return fmt.Sprintf("it does not say %q:\n%s", text, a.log.tail())
	})
}

func filter(lines []line, which func(line) bool) []line {
	return slices.DeleteFunc(lines, func(l line) bool { return !which(l) })
}

// The paths of the manager, as the server's history shows them.
const (
	registerPath = "/api/v1/enroll"
	pollPath     = "/api/v1/enroll/status/{token}"
	anyPollPath  = "/api/v1/enroll/status/" // for faults: every token
	renewPath    = "/api/v1/enroll/renew"
	crlPath      = "/api/v1/pki/crl.pem"
)

// The files of an enrollment at a manager.
const (
	pendingFile = "enrollment/pending.json"
	csrKeyFile  = "enrollment/key.pem"
	bundleFile  = "enrollment/bundle.json"
	caFile      = "certs/ca.pem"
	certFile    = "certs/server.pem"
	keyFile     = "certs/server.key.pem"
	crlFile     = "certs/crl.pem"
)

// newHost is a fresh machine that is configured for the server's manager
// alone.
func newHost(t *testing.T, s *server) *machine {
	t.Helper()
	m := newMachine(t, nil)
	m.atManager(s)
	m.delays(10*time.Millisecond, 50*time.Millisecond)
	return m
}

// atManager configures the server's manager, beside what is configured.
func (m *machine) atManager(s *server) {
	m.env["MUSTER_MANAGER_URL"] = s.URL
	m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = s.CA
	m.env["MUSTER_POLLING_INTERVAL"] = "20ms"
	m.env["MUSTER_LISTEN_ADDR"] = "127.0.0.1:0"
	m.env["MUSTER_REPORT_IP"] = "127.0.0.1" // for the certificate's name
}

// listening waits until the agent serves, and returns where.
func (a *agent) listening() string { a.m.t.Helper(); return a.logged("listening", 1).Addr }

// health is what GET /health says.
type health struct {
	Status      string
	Version     string
	Uptime      *int `json:"uptime_seconds"`
	Certificate struct{ Status string }
}

// peer is a client of the machine's listener that has the machine's own
// certificate: whatever is in force when it opens a connection.
func (m *machine) peer() *http.Client {
	m.t.Helper()
	transport := control.Trusting(m.t, m.path(caFile))
	transport.TLSClientConfig.MinVersion = tls.VersionTLS13
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return m.pair()
	}
	return &http.Client{Timeout: patience, Transport: transport}
}

// pair is the machine's certificate and key. They may be just being replaced.
func (m *machine) pair() (*tls.Certificate, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		pair, err := tls.LoadX509KeyPair(m.path(certFile), m.path(keyFile))
		if err == nil || time.Now().After(deadline) {
			return &pair, err
		}
	}
}

// ask asks a listener for its health.
func ask(client *http.Client, addr string) (health, error) {
	var h health
	resp, err := client.Get("https://" + addr + "/health")
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return h, err
	}
	if resp.StatusCode != http.StatusOK {
		return h, fmt.Errorf("%s: %s", resp.Status, body)
	}
	return h, json.Unmarshal(body, &h)
}

// serves asserts that the agent answers a peer, and nobody else. It is asked
// again only where the certificate is so short-lived that it may have run out
// before the question, on a busy machine; then there is another soon.
func (a *agent) serves() (h health) {
	a.m.t.Helper()
	addr := a.listening()
	eventually(a.m.t, func() string {
		var err error
		if h, err = ask(a.m.peer(), addr); err == nil {
			return ""
		}
		why := fmt.Sprintf("a peer is not answered: %v\n%s", err, a.log.tail())
		if pair, err := a.m.pair(); err != nil || pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore) > patience {
			a.m.t.Fatal(why)
		}
		return why
	})
	stranger := a.m.peer()
	stranger.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = nil
	if _, err := ask(stranger, addr); err == nil {
		a.m.t.Error("a client without a certificate is answered")
	}
	return h
}

// has reports whether there is a file in the state directory.
func (m *machine) has(name string) bool {
	m.t.Helper()
	_, err := os.Stat(m.path(name))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return err == nil
}

// previous lists what is left of a former set.
func (m *machine) previous() []string {
	m.t.Helper()
	left, err := filepath.Glob(m.path("certs/*.previous*"))
	if err != nil {
		m.t.Fatal(err)
	}
	return left
}

// installed asserts that an enrollment left nothing of its own behind.
func (m *machine) installed() {
	m.t.Helper()
	for _, name := range []string{bundleFile, csrKeyFile, bundleFile + ".new", csrKeyFile + ".new", "enrollment/rejected"} {
		if m.has(name) {
			m.t.Errorf("%s is left", name)
		}
	}
	if left := m.previous(); left != nil {
		m.t.Errorf("left: %v", left)
	}
}

// settled asserts the same, and that nothing was set aside.
func (m *machine) settled() {
	m.t.Helper()
	m.installed()
	if aside := m.setAside(); aside != nil {
		m.t.Errorf("set aside: %v", aside)
	}
}

// log collects what a process writes.
type log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed when there is more to read
}

func newLog() *log { return &log{changed: make(chan struct{})} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tail is the newest of what was written, for a test that failed.
func (l *log) tail() string {
	const most = 40
	lines := strings.SplitAfter(l.String(), "\n")
	if len(lines) <= most {
		return strings.Join(lines, "")
	}
	return "…\n" + strings.Join(lines[len(lines)-most:], "")
}

// line is one event of the agent's log.
type line struct {
	Event, Level, Msg string

	// What waiting logs; Wait is a duration.
	Wait, Class string
	Attempt     int

	Action string // of store.recovered
	PID    int    // of lock
	Addr   string // of listening
	Serial string // of certs.installed and certs.renewed
}

// lines are those with an event, all for "", and a channel that is closed when
// there is more to read.
func (l *log) lines(event string) ([]line, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []line
	for text := range strings.Lines(l.text.String()) {
		var one line
		if json.Unmarshal([]byte(text), &one) == nil && (event == "" || one.Event == event) {
			found = append(found, one)
		}
	}
	return found, l.changed
}

// The files of the state directory.
const (
	credentialFile = "credentials/agent.cak"
	identityFile   = "identity.json"
	retryFile      = "enrollment/retry.json"
	lockFile       = "agent.lock"
	socketFile     = "agent.sock"
)

// envelope is what every record of the state directory lies in.
type envelope struct {
	Format    int             `json:"format"`
	WrittenBy string          `json:"written_by"`
	SHA256    string          `json:"sha256"`
	Payload   json.RawMessage `json:"payload"`
}

// seal makes the checksum right.
func (e *envelope) seal() {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s", e.Format, e.WrittenBy, e.Payload))
	e.SHA256 = hex.EncodeToString(sum[:])
}

// makeNewer makes a record one of a newer version, and returns it.
func (m *machine) makeNewer(name, version string) []byte {
	m.t.Helper()
	var e envelope
	control.Decode(m.t, m.read(name), &e)
	e.Format, e.WrittenBy = 99, version
	e.seal()
	newer, err := json.Marshal(e)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(name, newer)
	return newer
}

func (m *machine) read(name string) []byte {
	m.t.Helper()
	data, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return data
}

// write replaces a file of the state directory in one step: an agent may be
// looking.
func (m *machine) write(name string, content []byte) {
	m.t.Helper()
	path := filepath.Join(m.home, "written")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, func() string { // Windows replaces no file that is being read
		if err := os.Rename(path, m.path(name)); err != nil {
			return err.Error()
		}
		return ""
	})
}

// record reads the payload of a record.
func (m *machine) record(name string, payload any) envelope {
	m.t.Helper()
	var e envelope
	control.Decode(m.t, m.read(name), &e)
	e = e.open(m.t, name)
	control.Decode(m.t, e.Payload, payload)
	return e
}

// key is the stored API key.
func (m *machine) key() string {
	m.t.Helper()
	var stored struct{ Key string }
	m.record(credentialFile, &stored)
	if !strings.HasPrefix(stored.Key, "cak_") || len(stored.Key) < 20 {
		m.t.Fatal("the stored key is no API key")
	}
	return stored.Key
}

// agentID is the stored one.
func (m *machine) agentID() string {
	m.t.Helper()
	var identity struct {
		AgentID string `json:"agent_id"`
	}
	m.record(identityFile, &identity)
	return identity.AgentID
}

// stored reports whether a key is stored.
func (m *machine) stored() bool { m.t.Helper(); return m.has(credentialFile) }

// setAside lists what was set aside as damaged.
func (m *machine) setAside() []string {
	m.t.Helper()
	var found []string
	walk(m.t, m.dir, func(path string, _ fs.DirEntry) {
		if strings.Contains(filepath.Base(path), ".damaged-") {
			found = append(found, path)
		}
	})
	return found
}

func walk(t *testing.T, dir string, visit func(path string, d fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			visit(path, d)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leakLength is how long a part of a secret may not be shown.
const leakLength = 8

// leaks reports whether a text holds a part of a secret.
func leaks(text, secret string) bool {
	for i := 0; i+leakLength <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+leakLength]) {
			return true
		}
	}
	return false
}

// leakyLine is the first line of a text that holds a part of a secret.
func leakyLine(text, secret string) string {
	for line := range strings.Lines(text) {
		if leaks(line, secret) {
			return line
		}
	}
	return text
}
