package processlock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestUnwritableDirectory locks a directory in which no file can be made, and
// one whose file cannot be written.
func TestUnwritableDirectory(t *testing.T) {
	for _, existing := range []bool{false, true} {
		is := is.New(t)
		dir := filepath.Join(t.TempDir(), "state")
		is.NoErr(os.Mkdir(dir, 0o700))
		if existing {
			is.NoErr(os.WriteFile(filepath.Join(dir, "agent.lock"), []byte("1 enroll\n"), 0o400))
		}
		contracttest.AsUser(t, dir, func() {
			is.NoErr(os.Chmod(dir, 0o500))
			defer func() { is.NoErr(os.Chmod(dir, 0o700)) }()
			unlock, err := New(dir).TryLock(t.Context(), "run")
			is.NoErr(err)
			_, err = New(dir).TryLock(t.Context(), "run")
			var locked *ports.LockedError
			is.True(errors.As(err, &locked))
			is.Equal(*locked, ports.LockedError{PID: os.Getpid()}) // by the kernel, not by what the file says
			holder, err := New(dir).Holder(t.Context())
			is.NoErr(err)
			is.Equal(holder, *locked)
			is.NoErr(unlock())
			_, err = New(dir).Holder(t.Context())
			is.True(errors.Is(err, ports.ErrNotStored))

			// One that this user may not look into at all.
			is.NoErr(os.Chmod(dir, 0))
			_, err = New(dir).Holder(t.Context())
			is.True(errors.Is(err, ports.ErrUnreadable))
		})
	}
}

// TestReadOnlyAndFullDisk does the same on file systems of its own.
func TestReadOnlyAndFullDisk(t *testing.T) {
	contracttest.OnOwnDisk(t, "size=16k,nr_inodes=2", func(mount string) {
		// The inodes are the mount and one file: no room for agent.lock.
		failed := errors.Join(os.WriteFile(filepath.Join(mount, "filler"), nil, 0o600), lockTwice(mount))
		// Room for the file, none for what it holds.
		failed = errors.Join(failed, os.Remove(filepath.Join(mount, "filler")), lockTwice(mount))
		failed = errors.Join(failed, syscall.Mount("", mount, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""), lockTwice(mount))
		if failed != nil {
			t.Error(failed)
		}
	})
}

func lockTwice(dir string) error {
	unlock, err := New(dir).TryLock(context.Background(), "run")
	if err != nil {
		return err
	}
	_, err = New(dir).TryLock(context.Background(), "run")
	var locked *ports.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		return errors.Join(errors.New("the second locker was not told who holds the lock"), err)
	}
	return unlock()
}

func TestRootGivesTheFileToTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	is.NoErr(os.Chown(dir, contracttest.Nobody, contracttest.Nobody))
	unlock, err := New(dir).TryLock(t.Context(), "run")
	is.NoErr(err)
	defer unlock()
	info, err := os.Stat(filepath.Join(dir, "agent.lock"))
	is.NoErr(err)
	is.Equal(info.Sys().(*syscall.Stat_t).Uid, uint32(contracttest.Nobody))
	is.Equal(info.Mode().Perm(), os.FileMode(0o600))
}

func TestHolderIn(t *testing.T) {
	t.Parallel()
	const locks = `1: POSIX  ADVISORY  WRITE 11 08:01:131 0 EOF
2: FLOCK  ADVISORY  READ 12 08:01:131 0 EOF
3: FLOCK  ADVISORY  WRITE 13 08:01:1310 0 EOF
4: FLOCK  ADVISORY  WRITE 14 08:01:131 0 EOF
4: -> FLOCK  ADVISORY  WRITE 15 08:01:132 0 EOF
5: FLOCK  ADVISORY  WRITE -1 08:01:133 0 EOF
6: FLOCK
`
	for id, want := range map[string]int{"08:01:131": 14, "08:01:132": 0, "08:01:133": 0, "": 0} {
		if got := holderIn(locks, id); got != want {
			t.Errorf("holderIn(%q) = %d, want %d", id, got, want)
		}
	}
}
