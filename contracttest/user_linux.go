package contracttest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// Nobody is the overflow user and group id of every distribution.
const Nobody = 65534

// AsUser runs f with the rights of an ordinary user: this one, or in root's
// place Nobody, for this thread's file accesses only. What lies below path,
// two levels below a t.TempDir, is given to that user.
func AsUser(t testing.TB, path string, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755))
	must(filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(p, Nobody, Nobody))
	}))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	must(syscall.Setfsgid(Nobody))
	must(syscall.Setfsuid(Nobody))
	defer func() {
		must(syscall.Setfsuid(0))
		must(syscall.Setfsgid(0))
	}()
	f()
}

// OnOwnDisk runs f on a file system of its own, a tmpfs with these options, in a
// thread that ends with it: f may not end the test.
func OnOwnDisk(t testing.TB, options string, f func(mount string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	mount := t.TempDir()
	var skip error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its mounts end here
		skip = errors.Join(
			syscall.Unshare(syscall.CLONE_FS|syscall.CLONE_NEWNS),
			syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
			syscall.Mount("tmpfs", mount, "tmpfs", 0, options),
		)
		if skip == nil {
			f(mount)
		}
	}()
	<-done
	if skip != nil {
		t.Skip("no file system of its own: ", skip)
	}
}
