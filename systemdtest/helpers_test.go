//go:build systemd

package systemdtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muster-agent/muster/e2e/control"
)

// patience bounds every wait for something that should happen soon.
const patience = control.Patience

const (
	unit      = "muster.service"
	muster    = "/usr/bin/muster"
	stateDir  = "/var/lib/muster"
	envFile   = "/etc/muster/agent.env"
	dropInDir = "/etc/systemd/system/muster.service.d"

	credentialFile = stateDir + "/credentials/agent.cak"
)

// service is the agent as its package installs it.
type service struct {
	t       *testing.T
	program string
	env     map[string]string // what agent.env holds
}

// install installs the package on this machine, where nothing is configured.
func install(t *testing.T) *service {
	t.Helper()
	s := newService(t)
	s.must(0, "dpkg", "--force-unsafe-io", "-i", insidePrograms+"/muster.deb")
	return s
}

// newService is the service of a machine, installed or to be installed.
func newService(t *testing.T) *service {
	s := &service{t: t, program: muster, env: quickEnv(50*time.Millisecond, 200*time.Millisecond)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v\nThe journal:\n%s", s.do("systemctl", "status", "--full", "--lines=0", unit), s.tail())
		}
	})
	return s
}

// quickEnv is a configuration whose delays, of all classes, lie between two.
func quickEnv(least, most time.Duration) map[string]string {
	env := map[string]string{"MUSTER_LOG_FORMAT": "json", "MUSTER_LOG_LEVEL": "debug"}
	for _, class := range []string{"TRANSIENT", "PENDING", "OPERATOR"} {
		env["MUSTER_"+class+"_MIN"], env["MUSTER_"+class+"_MAX"] = least.String(), most.String()
	}
	return env
}

// quick sets all delays.
func (s *service) quick(least, most time.Duration) *service {
	maps.Copy(s.env, quickEnv(least, most))
	return s
}

// atSite configures a server's site.
func (s *service) atSite(srv *server) *service {
	maps.Copy(s.env, siteEnv(srv.URL, srv.CA))
	return s
}

func siteEnv(url, ca string) map[string]string {
	env := map[string]string{"MUSTER_SERVER_URL": url, "MUSTER_SITE_CODE": site, "MUSTER_ENROLLMENT_KEY": enrollmentKey}
	if ca != "" {
		env["MUSTER_TRUST_CA_FILE"] = ca
	}
	return env
}

// atManager configures a server's manager.
func (s *service) atManager(srv *server) *service {
	s.env["MUSTER_MANAGER_URL"] = srv.URL
	s.env["MUSTER_MANAGER_TRUST_CA_FILE"] = srv.CA
	s.env["MUSTER_POLLING_INTERVAL"] = "100ms"
	s.env["MUSTER_LISTEN_ADDR"] = listenAddr
	s.env["MUSTER_REPORT_IP"] = "127.0.0.1" // for the certificate's name
	return s
}

// listenAddr is where the agent listens in these tests.
const listenAddr = "127.0.0.1:12443"

// configure writes agent.env as an operator would.
func (s *service) configure() *service {
	s.t.Helper()
	if err := writeEnv(s.env); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// writeEnv writes agent.env for the service's group to read.
func writeEnv(env map[string]string) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&text, "%s=%s\n", name, env[name])
	}
	group, err := user.LookupGroup("muster")
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(filepath.Dir(envFile), 0o755),
		os.WriteFile(envFile, []byte(text.String()), 0o640),
		os.Chown(envFile, 0, gid),
		os.Chmod(envFile, 0o640))
}

// dropIn changes the unit by "Name=value" lines of its section Service, or of
// another one that the lines open.
func (s *service) dropIn(lines ...string) *service {
	s.t.Helper()
	if err := os.MkdirAll(dropInDir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	text := "[Service]\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dropInDir, "test.conf"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.must(0, "systemctl", "daemon-reload")
	return s
}

// restartAtOnce lets systemd restart it soon and as often as need be: the
// shipped values have tests of their own.
func (s *service) restartAtOnce(more ...string) *service {
	s.t.Helper()
	return s.dropIn(append(more, "RestartSec=100ms", "[Unit]", "StartLimitIntervalSec=0", "StartLimitBurst=0")...)
}

// start starts it; systemd's word that it runs is awaited.
func (s *service) start() *service {
	s.t.Helper()
	s.must(0, "systemctl", "start", unit)
	return s
}

func (s *service) stop() { s.t.Helper(); s.must(0, "systemctl", "stop", unit) }

// result is how a command ended.
type result struct {
	args      []string
	out, errs string
	code      int
}

func (r result) String() string {
	return fmt.Sprintf("%s: exit code %d\n%s%s", strings.Join(r.args, " "), r.code, r.out, r.errs)
}

// do runs a command, as root, to its end.
func (s *service) do(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	r := result{args, out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	if ctx.Err() != nil {
		s.t.Fatalf("it did not end: %v", r)
	}
	return r
}

// must runs a command that ends with a code.
func (s *service) must(code int, args ...string) result {
	s.t.Helper()
	r := s.answered(args...)
	if r.code != code {
		s.t.Fatalf("want exit code %d: %v", code, r)
	}
	return r
}

// answered is do for a command that may ask the agent, which may be too busy to
// answer within the 2 s that the command waits.
func (s *service) answered(args ...string) (r result) {
	s.t.Helper()
	s.eventually(func() string {
		if r = s.do(args...); strings.Contains(r.errs, "not answering") {
			return r.String()
		}
		return ""
	})
	return r
}

// property is what systemd knows of the unit by a name.
func (s *service) property(name string) string {
	s.t.Helper()
	return strings.TrimSpace(s.must(0, "systemctl", "show", "--property="+name, "--value", unit).out)
}

// stands waits until the unit is in a state, as "active (running)".
func (s *service) stands(want string) {
	s.t.Helper()
	s.eventually(func() string {
		if got := s.property("ActiveState") + " (" + s.property("SubState") + ")"; got != want {
			return fmt.Sprintf("the unit is %s, not %s", got, want)
		}
		return ""
	})
}

// runs waits until the unit is active.
func (s *service) runs() { s.t.Helper(); s.stands("active (running)") }

// pid is the process of the service, 0 if there is none.
func (s *service) pid() int {
	s.t.Helper()
	pid, err := strconv.Atoi(s.property("MainPID"))
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

// life is one process of the service.
type life struct{ pid, restarts int }

// life is that of the running process.
func (s *service) life() life {
	s.t.Helper()
	restarts, err := strconv.Atoi(s.property("NRestarts"))
	if err != nil {
		s.t.Fatal(err)
	}
	l := life{s.pid(), restarts}
	if l.pid == 0 {
		s.t.Fatal("the service does not run")
	}
	return l
}

// lives asserts that the process is still the one, and that systemd has never
// restarted it.
func (s *service) lives(l life) {
	s.t.Helper()
	if now := s.life(); now != l || l.restarts != 0 {
		s.t.Fatalf("the process was %+v, now it is %+v", l, now)
	}
}

// journal is what the unit, and systemd about it, wrote.
func (s *service) journal(args ...string) string {
	s.t.Helper()
	args = append([]string{"journalctl", "--unit=" + unit, "--output=cat", "--no-pager", "--quiet"}, args...)
	return s.do(args...).out
}

// tail is the newest of the journal, for a test that failed.
func (s *service) tail() string {
	r := s.do("journalctl", "--no-pager", "--quiet", "--lines=40", "--output=short-precise", "--unit="+unit)
	return r.out + r.errs
}

// line is one event of the agent's log.
type line struct {
	Event, Level, Msg string
	Wait, Class       string
	Attempt           int
	Addr              string // of listening
	PID               int    // of lock
}

// events are the agent's log lines of an event.
func (s *service) events(event string) []line {
	s.t.Helper()
	var found []line
	for text := range strings.Lines(s.journal()) {
		var l line
		if json.Unmarshal([]byte(text), &l) == nil && l.Event == event {
			found = append(found, l)
		}
	}
	return found
}

// logged waits for the n-th event of a kind for which ok is true, nil for any.
func (s *service) logged(event string, n int, ok func(line) bool) line {
	s.t.Helper()
	var found []line
	s.eventually(func() string {
		found = s.events(event)
		if ok != nil {
			found = slices.DeleteFunc(found, func(l line) bool { return !ok(l) })
		}
		if len(found) < n {
			return fmt.Sprintf("the journal has %d events %s, not %d", len(found), event, n)
		}
		return ""
	})
	return found[n-1]
}

// says waits until the journal holds a text.
func (s *service) says(text string) {
	s.t.Helper()
	s.eventually(func() string {
		if strings.Contains(s.journal(), text) {
			return ""
		}
		return fmt.Sprintf("the journal does not say %q", text)
	})
}

// tells waits until what systemd shows of the agent holds a text.
func (s *service) tells(text string) {
	s.t.Helper()
	s.eventually(func() string {
		if got := s.property("StatusText"); !strings.Contains(got, text) {
			return fmt.Sprintf("systemd is told %q, not %q", got, text)
		}
		return ""
	})
}

// connected waits until the agent says that it is connected to the relay, and
// returns the process.
func (s *service) connected() life { s.t.Helper(); s.is("connected"); return s.life() }

// status is what `muster status --json` says.
type status struct {
	State      string
	MachineUID string `json:"machine_uid"`
	Source     string `json:"machine_uid_source"`
	AgentID    string `json:"agent_id"`
	Credential struct {
		Present     bool
		Fingerprint string
	}
	Enrollment struct {
		Site, Manager struct {
			State     string
			Polls     int
			LastError string `json:"last_error"`
		}
	}
	Certificate struct{ Status string }
	Relay       struct{ State string }
	Listener    struct{ Addr string }
	Blocked     string
}

func (s *service) status() status {
	s.t.Helper()
	r := s.answered(s.program, "status", "--json")
	var st status
	if r.out == "" {
		return st // said on standard error why
	}
	if err := json.Unmarshal([]byte(r.out), &st); err != nil {
		s.t.Fatalf("%v\n%v", err, r)
	}
	return st
}

// is waits until the agent's state is a certain one.
func (s *service) is(state string) status {
	s.t.Helper()
	return s.reaches(func(st status) bool { return st.State == state })
}

// reaches waits until ok is true of the agent's status, and returns it.
func (s *service) reaches(ok func(status) bool) status {
	s.t.Helper()
	var last status
	s.eventually(func() string {
		if last = s.status(); ok(last) {
			return ""
		}
		return fmt.Sprintf("the status stays %+v", last)
	})
	return last
}

// eventually polls until ok says "".
func (s *service) eventually(ok func() string) { s.t.Helper(); eventually(s.t, ok) }

func eventually(t *testing.T, ok func() string) { t.Helper(); eventuallyWithin(t, patience, ok) }

func eventuallyWithin(t *testing.T, limit time.Duration, ok func() string) {
	t.Helper()
	control.Eventually(t, limit, 50*time.Millisecond, ok)
}
