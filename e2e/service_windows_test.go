package e2e

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"
)

// TestTheService takes the service through its life, installed by the program
// itself. It is not parallel: a machine has one service and one configuration.
func TestTheService(t *testing.T) {
	is := is.New(t)
	aloneWithServices(t)
	// Wine may tell its services of another directory than its programs.
	programData := []string{os.Getenv("ProgramData"), os.Getenv("PUBLIC")}
	for _, dir := range programData {
		if _, err := os.Stat(filepath.Join(dir, "Muster")); !errors.Is(err, fs.ErrNotExist) {
			t.Skip("this machine has a Muster of its own: ", dir)
		}
	}
	// What is to run as SYSTEM is for administrators only to change. (Wine knows
	// no access lists, and no such program.)
	said, err := exec.Command("icacls", filepath.Dir(muster), "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F").CombinedOutput()
	t.Logf("icacls: %v %s", err, said)
	data := ""
	s := startServer(t)
	m := &machine{t: t, uid: randomUID(), home: t.TempDir(), env: map[string]string{}}
	service := func(args ...string) result { t.Helper(); return m.do(append([]string{"service"}, args...)...) }
	t.Cleanup(func() {
		if r := service("uninstall"); r.code != 0 {
			t.Error(r)
		}
		for _, dir := range programData {
			if err := os.RemoveAll(filepath.Join(dir, "Muster")); err != nil {
				t.Error(err)
			}
		}
	})
	must := func(args ...string) {
		t.Helper()
		if r := service(args...); r.code != 0 {
			t.Fatal(r)
		}
	}
	stands := func(code int, want string) {
		t.Helper()
		if r := service("status"); r.code != code || !strings.HasPrefix(r.out, want) {
			t.Fatalf("want %q: %v", want, r)
		}
	}

	stands(1, "not_installed")
	must("install")
	must("install")
	stands(1, "stopped, starts with the machine")

	// Nothing is configured: an end without an error, and advice.
	r := service("start")
	is.Equal(r.code, 1)
	if !strings.Contains(r.errs, "nothing for it to do") {
		t.Error(r)
	}
	stands(1, "stopped")
	for _, dir := range programData {
		if _, err := os.Stat(filepath.Join(dir, "Muster", "logs")); err == nil {
			m.env["ProgramData"], data = dir, filepath.Join(dir, "Muster")
		}
	}
	is.True(data != "")

	// What is wrong is said, and is a failure.
	agentEnv := filepath.Join(data, "agent.env")
	is.NoErr(os.WriteFile(agentEnv, []byte("MUSTER_SERVER_URL=ftp://nowhere.example.org\n"), 0o600))
	r = service("start")
	is.Equal(r.code, 1)
	if !strings.Contains(r.errs, "exit code 1") {
		t.Error(r)
	}
	stands(1, "failed")
	log := func() string {
		content, err := os.ReadFile(filepath.Join(data, "logs", "muster.log"))
		is.NoErr(err)
		return string(content)
	}
	is.True(strings.Contains(log(), "MUSTER_SERVER_URL"))

	// It enrolls, connects, and answers by its pipe.
	is.NoErr(os.WriteFile(agentEnv, []byte(strings.Join([]string{
		"MUSTER_SERVER_URL=" + s.URL, "MUSTER_SITE_CODE=" + site, "MUSTER_ENROLLMENT_KEY=" + enrollmentKey,
		"MUSTER_TRUST_CA_FILE='" + s.CA + "'", "MUSTER_MACHINE_UID=" + m.uid, "",
	}, "\n")), 0o600))
	if r := service("start"); r.code != 0 {
		t.Fatalf("%v\n%s", r, log())
	}
	must("start")
	stands(0, "running, process ")
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)
	eventually(t, func() string {
		if r := m.do("status"); r.code != 0 || !strings.Contains(r.out, "connected") {
			return r.String()
		}
		return ""
	})
	is.True(strings.Contains(log(), "event=enroll.enrolled"))
	is.True(!strings.Contains(log(), enrollmentKey))
	if r := m.do("run"); r.code != 1 { // another one is told who holds the lock
		t.Error(r)
	}

	// Stopped and started, it is the same machine.
	must("stop")
	must("stop")
	stands(1, "stopped")
	if r := m.do("status", "--json"); !strings.Contains(r.out, `"state":"stopped"`) {
		t.Error(r)
	}
	must("start")
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)

	must("uninstall")
	must("uninstall")
	stands(1, "not_installed")
	_, err = os.Stat(filepath.Join(data, credentialFile))
	is.NoErr(err) // the state stays
}

// aloneWithServices waits until no other test uses the service control manager
// (adapters/winservice does so in the same way): Wine's locks itself up when
// several do.
func aloneWithServices(t *testing.T) {
	t.Helper()
	name, err := windows.UTF16PtrFromString(filepath.Join(os.TempDir(), "muster-test-services.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		lock, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS, windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
		if err == nil {
			t.Cleanup(func() { _ = windows.CloseHandle(lock) })
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("other tests use the service control manager without end: %v", err)
		}
	}
}
