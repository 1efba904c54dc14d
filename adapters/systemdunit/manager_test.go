//go:build linux

package systemdunit

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

const text = "[Service]\nExecStartPre=+-/usr/bin/muster identify --save\nExecStart=/usr/bin/muster run\nUser=muster\n"

// machine is a root with systemd, in a folder, and the commands of testdata.
type machine struct {
	t           *testing.T
	root, state string
	accounts    map[string]bool // by getent's database
	useradd     [][]string      // the calls
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), state: t.TempDir(), accounts: map[string]bool{}}
	for _, dir := range []string{"etc/systemd/system", "usr/lib/systemd/system", "run/systemd/system", "usr/local/bin", "opt"} {
		is.New(t).NoErr(os.MkdirAll(m.path(dir), 0o755))
	}
	m.file("usr/local/bin/muster", "the program", 0o755)
	if err := os.Chmod(m.path("usr/local/bin"), 0o755); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) file(name, content string, mode os.FileMode) {
	m.t.Helper()
	if err := errors.Join(os.WriteFile(m.path(name), []byte(content), mode), os.Chmod(m.path(name), mode)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) mark(state string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.state, state), nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// run is Options.Run.
func (m *machine) run(ctx context.Context, name string, args ...string) (string, error) {
	switch name {
	case "getent":
		if !m.accounts[args[0]] {
			return "", errors.New("exit status 2")
		}
		return "", nil
	case "useradd":
		m.useradd = append(m.useradd, args)
		m.accounts["passwd"], m.accounts["group"] = true, true
		return "", nil
	}
	script, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "sh", append([]string{script}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ROOT=" + m.root, "STATE=" + m.state}
	out, err := cmd.Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		err = errors.New(string(ended.Stderr))
	}
	return string(out), err
}

func (m *machine) manager() *Manager {
	return New(Options{Root: m.root, Program: "/usr/local/bin/muster", Unit: text, Run: m.run})
}

func TestContract(t *testing.T) {
	t.Parallel()
	machines := contracttest.ServiceMachines{
		Fresh: func(t *testing.T) ports.ServiceManager { return newMachine(t).manager() },
		Broken: func(t *testing.T) ports.ServiceManager {
			m := newMachine(t)
			m.mark("broken")
			return m.manager()
		},
		Packaged: func(t *testing.T) ports.ServiceManager {
			m := newMachine(t)
			m.file("usr/lib/systemd/system/muster.service", text, 0o644)
			return m.manager()
		},
		WithoutRights: func(t *testing.T) ports.ServiceManager {
			m := newMachine(t)
			if os.Geteuid() == 0 {
				return withoutRights{m.manager()}
			}
			units := m.path("etc/systemd/system")
			is.New(t).NoErr(os.Chmod(units, 0o555))
			t.Cleanup(func() { _ = os.Chmod(units, 0o755) }) // else the test cannot tidy up, and says so
			return m.manager()
		},
		Without: func(t *testing.T) ports.ServiceManager {
			m := newMachine(t)
			is.New(t).NoErr(os.RemoveAll(m.path("run/systemd")))
			return m.manager()
		},
	}
	contracttest.ServiceManager(t, machines)
}

// withoutRights calls a manager as somebody who is not root, where the test
// runs as root.
type withoutRights struct{ ports.ServiceManager }

// asNobody changes the real user, by whose rights access(2) judges, of one
// thread.
func asNobody(f func() error) error {
	const nobody, same = 65534, ^uintptr(0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set := func(uid uintptr) error {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, same, same); errno != 0 {
			return errno
		}
		return nil
	}
	if err := set(nobody); err != nil {
		return err
	}
	return errors.Join(f(), set(0))
}

func (w withoutRights) Install(ctx context.Context) error {
	return asNobody(func() error { return w.ServiceManager.Install(ctx) })
}

func (w withoutRights) Uninstall(ctx context.Context) error {
	return asNobody(func() error { return w.ServiceManager.Uninstall(ctx) })
}

func (w withoutRights) Start(ctx context.Context) error {
	return asNobody(func() error { return w.ServiceManager.Start(ctx) })
}

func (w withoutRights) Stop(ctx context.Context) error {
	return asNobody(func() error { return w.ServiceManager.Stop(ctx) })
}

func TestTheUnitNamesTheProgram(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t)
	is.NoErr(m.manager().Install(t.Context()))
	unit, err := os.ReadFile(m.path("etc/systemd/system/muster.service"))
	is.NoErr(err)
	is.Equal(string(unit), "# Written by 'muster service install' for /usr/local/bin/muster.\n"+strings.ReplaceAll(text, "/usr/bin/", "/usr/local/bin/"))
	info, err := os.Stat(m.path("etc/systemd/system/muster.service"))
	is.NoErr(err)
	is.Equal(info.Mode(), os.FileMode(0o644))

	// A later one moves the service to where it is itself.
	m.file("opt/muster", "another program", 0o755)
	is.NoErr(os.Chmod(m.path("opt"), 0o755))
	other := m.manager()
	other.o.Program = "/opt/muster"
	is.NoErr(other.Install(t.Context()))
	unit, err = os.ReadFile(m.path("etc/systemd/system/muster.service"))
	is.NoErr(err)
	is.True(strings.Contains(string(unit), "ExecStart=/opt/muster run"))
	is.True(!strings.Contains(string(unit), "/usr/"))
	names, err := os.ReadDir(m.path("etc/systemd/system"))
	is.NoErr(err)
	is.Equal(len(names), 1)
}

func TestTheUserIsMadeOnce(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t)
	is.NoErr(m.manager().Install(t.Context()))
	is.NoErr(m.manager().Install(t.Context()))
	is.Equal(len(m.useradd), 1)
	is.True(strings.Contains(strings.Join(m.useradd[0], " "), "--system --user-group"))

	m = newMachine(t)
	m.accounts["group"] = true
	is.NoErr(m.manager().Install(t.Context()))
	is.True(strings.Contains(strings.Join(m.useradd[0], " "), "--gid=muster"))
}

// systemd refuses to start what it has given up starting.
func TestAStartByAPersonIsAnotherChance(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t)
	m.mark("broken")
	is.NoErr(m.manager().Install(t.Context()))
	is.True(m.manager().Start(t.Context()) != nil)
	is.NoErr(os.Remove(filepath.Join(m.state, "broken")))
	is.NoErr(m.manager().Start(t.Context()))
}

func TestAUnitThatAPersonWroteIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(unit string) error{
		"a file": func(unit string) error { return os.WriteFile(unit, []byte(text), 0o600) },
		"a mask": func(unit string) error { return os.Symlink("/dev/null", unit) },
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			m := newMachine(t)
			unit := m.path("etc/systemd/system/muster.service")
			is.NoErr(put(unit))
			before, err := os.Lstat(unit)
			is.NoErr(err)
			is.True(errors.Is(m.manager().Install(t.Context()), ports.ErrServiceNotOurs))
			is.True(errors.Is(m.manager().Uninstall(t.Context()), ports.ErrServiceNotOurs))
			after, err := os.Lstat(unit)
			is.NoErr(err)
			is.True(os.SameFile(before, after))
			is.Equal(len(m.useradd), 0)
		})
	}
}

func TestAProgramThatTheServiceCouldNotRunIsRefused(t *testing.T) {
	t.Parallel()
	for program, advice := range map[string]string{
		"/home/anna/muster":     "/usr/local/bin",
		"/run/muster":           "/usr/local/bin",
		"/tmp/muster":           "/usr/local/bin",
		"/var/tmp/muster":       "/usr/local/bin",
		"/opt/my tools/muster":  "/usr/local/bin",
		"/opt/50%/muster":       "/usr/local/bin",
		"muster":                "/usr/local/bin",
		"/opt/absent":           "no such file",
		"/opt/writable":         "chown root",
		"/opt/secret":           "chmod 755",
		"/opt/shared/muster":    "chown root",
		"/opt/strange\n/muster": "/usr/local/bin",
	} {
		t.Run(strings.ReplaceAll(program, "\n", "-"), func(t *testing.T) {
			is := is.New(t)
			m := newMachine(t)
			m.file("opt/writable", "", 0o775)
			m.file("opt/secret", "", 0o700)
			is.NoErr(os.Mkdir(m.path("opt/shared"), 0o755))
			is.NoErr(os.Chmod(m.path("opt/shared"), 0o777))
			m.file("opt/shared/muster", "", 0o755)
			is.NoErr(os.Chmod(m.path("opt"), 0o755))
			manager := m.manager()
			manager.o.Program = program
			err := manager.Install(t.Context())
			is.True(err != nil) // the program is refused
			is.True(strings.Contains(err.Error(), advice))
			names, err := os.ReadDir(m.path("etc/systemd/system"))
			is.NoErr(err)
			is.Equal(len(names), 0)
			is.Equal(len(m.useradd), 0)
		})
	}
}

func TestWhatSystemdSaysIsTranslated(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t)
	for out, want := range map[string]ports.ServiceStatus{
		"LoadState=loaded\nActiveState=activating\nUnitFileState=disabled\nMainPID=0\nStatusText=waiting\n": {State: ports.ServiceStarting, Detail: "waiting"},
		"LoadState=loaded\nActiveState=reloading\nUnitFileState=enabled\nMainPID=12\nStatusText=a=b\n":      {State: ports.ServiceRunning, AtBoot: true, PID: 12, Detail: "a=b"},
		"LoadState=loaded\nActiveState=deactivating\nMainPID=12\n":                                          {State: ports.ServiceStopping},
		"LoadState=loaded\nActiveState=failed\nResult=watchdog\n":                                           {State: ports.ServiceFailed, Detail: "watchdog"},
		"LoadState=masked\nActiveState=inactive\n":                                                          {State: ports.ServiceStopped, Detail: "masked"},
	} {
		manager := m.manager()
		manager.o.Run = func(context.Context, string, ...string) (string, error) { return out, nil }
		got, err := manager.Status(t.Context())
		is.NoErr(err)
		is.Equal(got, want)
	}
	manager := m.manager()
	manager.o.Run = func(context.Context, string, ...string) (string, error) { return "", errors.New("no bus") }
	_, err := manager.Status(t.Context())
	is.True(err != nil && strings.Contains(err.Error(), "no bus"))
}

func TestCommand(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	out, err := Command(t.Context(), "sh", "-c", "echo $LC_ALL; echo a warning >&2")
	is.NoErr(err)
	is.Equal(out, "C\n")
	_, err = Command(t.Context(), "sh", "-c", "echo it is; echo so >&2; exit 3")
	is.True(err != nil) // exit status 3
	is.Equal(err.Error(), "so")
	_, err = Command(t.Context(), "sh", "-c", "exit 3")
	is.True(err != nil && strings.Contains(err.Error(), "3"))
	_, err = Command(t.Context(), "no-such-command")
	is.True(err != nil && strings.Contains(err.Error(), "no-such-command"))
}
