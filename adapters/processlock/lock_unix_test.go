//go:build unix

package processlock

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// TestFileRemoved shows that the directory's lock holds without the file.
func TestFileRemoved(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	unlock, err := New(dir).TryLock(t.Context(), "run")
	is.NoErr(err)
	is.NoErr(os.Remove(filepath.Join(dir, "agent.lock")))
	_, err = New(dir).TryLock(t.Context(), "run")
	is.True(errors.Is(err, ports.ErrLocked))
	_, err = New(dir).Holder(t.Context())
	is.NoErr(err)
	is.NoErr(unlock())
	canBeLocked(t, New(dir))
}

// TestNamedPipe shows that one in the file's place does not hold anybody up.
func TestNamedPipe(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	is.NoErr(syscall.Mkfifo(filepath.Join(dir, "agent.lock"), 0o600))
	_, err := New(dir).Holder(t.Context())
	is.True(errors.Is(err, ports.ErrNotStored))
	canBeLocked(t, New(dir))
}

// lookedAt is a directory with the lock of one who only looks.
func lookedAt(t *testing.T, dir string) *os.File {
	t.Helper()
	is := is.New(t)
	d, err := os.Open(dir)
	is.NoErr(err)
	is.NoErr(syscall.Flock(int(d.Fd()), syscall.LOCK_SH))
	return d
}

// TestSharedLock shows that a program that keeps looking at the directory
// neither keeps TryLock waiting for ever nor counts as no lock at all.
func TestSharedLock(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	d := lookedAt(t, dir)
	_, err := New(dir).TryLock(t.Context(), "run")
	is.True(errors.Is(err, ports.ErrLocked))
	is.NoErr(d.Close())
	canBeLocked(t, New(dir))
}

// TestBriefSharedLock shows that one who only looks, as Holder does, keeps
// nobody from locking.
func TestBriefSharedLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := lookedAt(t, dir)
	time.AfterFunc(20*time.Millisecond, func() { _ = d.Close() }) // the lock goes with it
	canBeLocked(t, New(dir))
}
