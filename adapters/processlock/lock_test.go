package processlock

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// lockFor names the directory that this binary locks instead of testing.
const lockFor = "PROCESSLOCK_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockFor); dir != "" {
		holdForever(dir)
	}
	os.Exit(m.Run())
}

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.ProcessLock(t, func(t *testing.T) func() ports.ProcessLock {
		dir := t.TempDir()
		return func() ports.ProcessLock { return New(dir) }
	})
}

// holdForever locks, says so, and waits for its end.
func holdForever(dir string) {
	_, err := New(dir).TryLock(context.Background(), "run")
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("locked\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent is gone
	os.Exit(1)
}

// child starts a process that holds the lock of dir.
func child(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	is := is.New(t)
	self, err := os.Executable()
	is.NoErr(err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), lockFor+"="+dir)
	in, err := cmd.StdinPipe()
	is.NoErr(err)
	t.Cleanup(func() { _ = in.Close() })
	out, err := cmd.StdoutPipe()
	is.NoErr(err)
	is.NoErr(cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	return cmd
}

func TestLockGoesWithTheProcess(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	other := child(t, dir)
	lock := New(dir)
	_, err := lock.TryLock(t.Context(), "enroll")
	var locked *ports.LockedError
	is.True(errors.As(err, &locked))
	is.Equal(*locked, ports.LockedError{PID: other.Process.Pid, Command: "run"})
	holder, err := lock.Holder(t.Context())
	is.NoErr(err)
	is.Equal(holder, *locked)

	is.NoErr(other.Process.Kill())
	_ = other.Wait() // it was killed: that is its error
	content, err := os.ReadFile(filepath.Join(dir, "agent.lock"))
	is.NoErr(err)
	is.True(len(content) > 0) // it had no time to tidy up, and that is ignored
	_, err = lock.Holder(t.Context())
	is.True(errors.Is(err, ports.ErrNotStored))
	canBeLocked(t, lock)
}

// canBeLocked takes a lock and gives it back.
func canBeLocked(t *testing.T, lock *Lock) {
	t.Helper()
	is := is.New(t)
	unlock, err := lock.TryLock(t.Context(), "run")
	is.NoErr(err)
	is.NoErr(unlock())
}

func TestWhatLiesInTheFile(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "\n", "4711", "4711 run", "1 run\n", "-3 run\n", "x y\n", "4711 \x1b[31m\n", strings.Repeat("9", 1000), "\x00\xff"} {
		is := is.New(t)
		dir := t.TempDir()
		lock := New(dir)
		is.NoErr(os.WriteFile(filepath.Join(dir, "agent.lock"), []byte(content), 0o600))
		_, err := lock.Holder(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored)) // stale, whatever it is
		unlock, err := lock.TryLock(t.Context(), "run")
		is.NoErr(err)
		holder, err := lock.Holder(t.Context())
		is.NoErr(err)
		is.Equal(holder, ports.LockedError{PID: os.Getpid(), Command: "run"})
		is.NoErr(unlock())
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]ports.LockedError{
		"4711 run\n":         {PID: 4711, Command: "run"},
		"4711 renew-certs\n": {PID: 4711, Command: "renew-certs"},
		"4711 \n":            {PID: 4711},
		"4711 a\x1bb\n":      {PID: 4711},
		"4711 run":           {}, // cut short
		"4711\n":             {},
		"0 run\n":            {},
		"-1 run\n":           {},
		"":                   {},
	} {
		if got := parse([]byte(content)); got != want {
			t.Errorf("parse(%q) = %+v, want %+v", content, got, want)
		}
	}
}

func TestADirectoryInItsPlace(t *testing.T) {
	t.Parallel()
	noFileInItsPlace(t, func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) })
}

func TestALinkInItsPlace(t *testing.T) {
	contracttest.SkipWithoutLinks(t)
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	noFileInItsPlace(t, func(path string) error { return os.Symlink(outside, path) })
	noFileInItsPlace(t, func(path string) error { return os.Symlink(".", path) })
	_, err := os.Lstat(outside)
	is.New(t).True(errors.Is(err, fs.ErrNotExist))
}

// noFileInItsPlace shows that what is put in the lock file's place is set aside
// and does not keep the directory from being locked.
func noFileInItsPlace(t *testing.T, put func(path string) error) {
	t.Helper()
	is := is.New(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.lock")
	is.NoErr(put(path))
	lock := New(dir)
	_, err := lock.Holder(t.Context())
	is.True(errors.Is(err, ports.ErrNotStored))
	unlock, err := lock.TryLock(t.Context(), "run")
	is.NoErr(err)
	info, err := os.Lstat(path)
	is.NoErr(err)
	is.True(info.Mode().IsRegular())
	aside, err := filepath.Glob(path + ".damaged-*")
	is.NoErr(err)
	is.Equal(len(aside), 1)
	_, err = New(dir).TryLock(t.Context(), "run")
	is.True(errors.Is(err, ports.ErrLocked))
	is.NoErr(unlock())
}

func TestHolderMakesNothing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	_, err := New(dir).Holder(t.Context())
	is.True(errors.Is(err, ports.ErrNotStored))
	entries, err := os.ReadDir(dir)
	is.NoErr(err)
	is.Equal(len(entries), 0)

	_, err = New(filepath.Join(dir, "absent")).Holder(t.Context())
	is.True(errors.Is(err, ports.ErrNotStored))
}

func TestAnAbsentDirectoryIsMade(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	parent := filepath.Join(t.TempDir(), "absent")
	canBeLocked(t, New(filepath.Join(parent, "state")))
	info, err := os.Stat(filepath.Join(parent, "state"))
	is.NoErr(err)
	if runtime.GOOS != "windows" {
		is.Equal(info.Mode().Perm(), os.FileMode(0o700))
	}
	made := ""
	other := New(filepath.Join(parent, "other"))
	other.Mkdir = func(path string) error {
		made = path
		return os.Mkdir(path, 0o700)
	}
	canBeLocked(t, other)
	is.Equal(made, filepath.Join(parent, "other"))
	third := New(filepath.Join(parent, "third"))
	third.Mkdir = func(path string) error { return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrPermission} }
	_, err = third.TryLock(t.Context(), "run")
	is.True(errors.Is(err, fs.ErrPermission))
	is.True(strings.Contains(err.Error(), whoMay))
	_, err = New(filepath.Join(parent, "state", "agent.lock", "below a file")).TryLock(t.Context(), "run")
	is.True(err != nil) // the parent is a file
	is.True(strings.Contains(err.Error(), "below a file"))
}
