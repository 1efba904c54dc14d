package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestUnreadable shows what a process without the rights is told, that nothing
// changes, and that it goes on by itself once the rights are back.
func TestUnreadable(t *testing.T) {
	for _, s := range subjects {
		for _, name := range []string{s.file, filepath.Dir(s.file)} {
			t.Run(s.file+" "+name, func(t *testing.T) {
				is := is.New(t)
				path := newDir(t)
				var got recoveries
				d := open(t, path, Options{Recovered: got.add})
				is.NoErr(s.save(d, 1))
				locked := filepath.Join(path, name)
				info, err := os.Stat(locked)
				is.NoErr(err)
				contracttest.AsUser(t, path, func() {
					is.NoErr(os.Chmod(locked, 0))
					for _, err := range []error{second(s.load(d)), s.save(d, 2)} {
						is.True(errors.Is(err, ports.ErrUnreadable))
						is.True(strings.Contains(err.Error(), locked))
						is.True(strings.Contains(err.Error(), "chmod") || strings.Contains(err.Error(), "chown") || strings.Contains(err.Error(), "as root"))
					}
					is.Equal(len(got), 0)
					is.NoErr(os.Chmod(locked, info.Mode()))
					s.loads(t, d, 1)
					is.NoErr(s.save(d, 2))
					s.loads(t, d, 2)
				})
			})
		}
	}
}

// TestUnwritable shows that a machine whose directory may not be written still
// loads, and what a save says.
func TestUnwritable(t *testing.T) {
	for _, s := range subjects {
		is := is.New(t)
		path := newDir(t)
		var got recoveries
		d := open(t, path, Options{Recovered: got.add})
		is.NoErr(s.save(d, 1))
		folder := filepath.Dir(filepath.Join(path, s.file))
		contracttest.AsUser(t, path, func() {
			is.NoErr(os.Chmod(folder, 0o500))
			defer func() { is.NoErr(os.Chmod(folder, 0o700)) }()
			s.loads(t, d, 1)
			err := s.save(d, 2)
			is.True(errors.Is(err, ports.ErrNotWritten))
			is.True(strings.Contains(err.Error(), "run muster as"))
			s.loads(t, d, 1)
			if s.reserve != nil {
				is.True(errors.Is(s.reserve(d), ports.ErrNotWritten))
			}
			if s.erase != nil {
				is.True(errors.Is(s.erase(d), ports.ErrNotWritten))
			}
			is.Equal(len(got), 0)

			// Damage that cannot be set aside is ignored, and said once.
			is.NoErr(os.WriteFile(filepath.Join(path, s.file), []byte("garbage"), 0o600))
			for range 2 {
				_, err = s.load(d)
				is.True(errors.Is(err, ports.ErrDamaged))
			}
			is.True(errors.Is(s.save(d, 2), ports.ErrNotWritten))
			is.Equal(got.actions(), []string{"ignored"})

			// A complete replacement is used though it cannot be finished.
			is.NoErr(os.Chmod(folder, 0o700))
			is.NoErr(s.save(d, 3))
			is.NoErr(os.Rename(filepath.Join(path, s.file), filepath.Join(path, s.file+".new")))
			is.NoErr(os.Chmod(folder, 0o500))
			s.loads(t, d, 3)
		})
	}
}

func TestDirectoryCannotBeMade(t *testing.T) {
	is := is.New(t)
	parent := newDir(t)
	is.NoErr(os.Mkdir(parent, 0o700))
	contracttest.AsUser(t, parent, func() {
		is.NoErr(os.Chmod(parent, 0o500))
		defer func() { is.NoErr(os.Chmod(parent, 0o700)) }()
		d := open(t, filepath.Join(parent, "state"), Options{})
		for _, s := range subjects {
			is.True(errors.Is(second(s.load(d)), ports.ErrNotStored))
			is.True(errors.Is(s.save(d, 1), ports.ErrNotWritten))
		}
	})
}

// TestRootGivesFilesToTheOwner shows that what root makes in another user's
// directory is that user's.
func TestRootGivesFilesToTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	is.NoErr(os.Mkdir(path, 0o700))
	is.NoErr(os.Chown(path, contracttest.Nobody, contracttest.Nobody))
	d := open(t, path, Options{})
	for _, s := range subjects {
		is.NoErr(s.save(d, 1))
		is.NoErr(s.save(d, 2))
	}
	is.NoErr(d.Reserve(t.Context()))
	is.NoErr(d.ReserveBundle(t.Context()))
	_, err := d.RejectBundle(t.Context())
	is.NoErr(err)
	is.NoErr(d.SaveBundle(t.Context(), received(2)))
	theirs := func() (n int) {
		is.NoErr(filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
			is.NoErr(err)
			info, err := e.Info()
			is.NoErr(err)
			if st := stat(info); st.Uid != contracttest.Nobody || st.Gid != contracttest.Nobody {
				t.Errorf("%s belongs to %d:%d", p, st.Uid, st.Gid)
			}
			n++
			return nil
		}))
		return n
	}
	is.Equal(theirs(), 12)
	_, err = d.SetAside(t.Context())
	is.NoErr(err)
	is.Equal(theirs(), 13)
}

// onSmallDisk runs f on a file system of its own of size bytes, in a thread
// that ends with it.
func onSmallDisk(t *testing.T, size string, f func(t *testing.T, mount string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	mount := t.TempDir()
	var skip string
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its mounts end here
		if err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS); err != nil {
			skip = "no mount namespace of its own: " + err.Error()
			return
		}
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			skip = "the mounts cannot be made private: " + err.Error()
			return
		}
		if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "mode=755,size="+size); err != nil {
			skip = "no small file system: " + err.Error()
			return
		}
		f(t, mount)
	}()
	<-done
	if skip != "" {
		t.Skip(skip)
	}
}

// fill leaves no byte free, and returns what frees it again. A save does not
// get back what it frees itself.
func fill(t *testing.T, mount string, d *Dir) (free func()) {
	t.Helper()
	name := filepath.Join(mount, "filler")
	grow := func() {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		must(t, err)
		for err == nil {
			_, err = file.Write(make([]byte, 4096))
		}
		must(t, file.Close())
	}
	grow()
	d.disk.Around = func(op durable.Op, _ string, call func() error) error {
		if op == durable.OpWrite {
			grow()
		}
		return call()
	}
	return func() {
		d.disk.Around = nil
		must(t, os.Remove(name))
	}
}

// TestFullDisk shows on a real file system that a reserved save succeeds when
// the disk is full, that nothing is lost when it is full before, and that it
// goes on once there is room.
func TestFullDisk(t *testing.T) {
	onSmallDisk(t, "128k", func(t *testing.T, mount string) {
		path := filepath.Join(mount, "state")
		d := open(t, path, Options{})
		check := func(ok bool, what string) {
			if !ok {
				t.Error(what)
			}
		}
		full := func(what string, err error) {
			check(errors.Is(err, ports.ErrNotWritten) && errors.Is(err, syscall.ENOSPC) && strings.Contains(err.Error(), "free some space"), what+": "+errorText(err))
		}
		for _, stored := range []int{0, 1} {
			free := fill(t, mount, d)
			full("reserve on a full disk", d.Reserve(t.Context()))
			full("save on a full disk", d.Save(t.Context(), credential(3)))
			v, err := d.Load(t.Context())
			check(stored == 0 && errors.Is(err, ports.ErrNotStored) || stored == 1 && err == nil && v.MachineUID == credential(1).MachineUID, "the stored key is touched")
			free()

			check(d.Reserve(t.Context()) == nil, "reserve with room")
			free = fill(t, mount, d)
			check(d.Save(t.Context(), credential(1)) == nil, "a reserved save on a full disk")
			v, err = open(t, path, Options{}).Load(t.Context())
			check(err == nil && v.Key.Equal(credential(1).Key), "load: "+errorText(err))
			free()
		}
		check(slices.Equal(tree(t, path), []string{"credentials/agent.cak"}), "something is left behind")
	})
}

// TestFullDiskBundle shows the same of a bundle, which its manager forgets as it
// sends it.
func TestFullDiskBundle(t *testing.T) {
	onSmallDisk(t, "256k", func(t *testing.T, mount string) {
		path := filepath.Join(mount, "state")
		d := open(t, path, Options{})
		bundle := received(1)
		bundle.Raw = ports.NewSecret(strings.Repeat("x", 40<<10))
		if err := d.ReserveBundle(t.Context()); err != nil {
			t.Error(err)
		}
		free := fill(t, mount, d)
		if err := d.ReserveBundle(t.Context()); err != nil {
			t.Errorf("room that is there: %v", err)
		}
		if err := d.SaveBundle(t.Context(), bundle); err != nil {
			t.Errorf("a reserved save on a full disk: %v", err)
		}
		if err := d.ReserveBundle(t.Context()); !errors.Is(err, ports.ErrNotWritten) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("reserve on a full disk: %v", err)
		}
		if b, err := open(t, path, Options{}).LoadBundle(t.Context()); err != nil || !b.Raw.Equal(bundle.Raw) {
			t.Errorf("load: %v", err)
		}
		free()
		if err := d.ReserveBundle(t.Context()); err != nil {
			t.Errorf("reserve with room: %v", err)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// TestReadOnlyDisk shows the same of a file system that is read-only.
func TestReadOnlyDisk(t *testing.T) {
	onSmallDisk(t, "1m", func(t *testing.T, mount string) {
		path := filepath.Join(mount, "state")
		d := open(t, path, Options{})
		for _, s := range subjects {
			must(t, s.save(d, 1))
		}
		must(t, os.WriteFile(filepath.Join(path, "identity.json"), []byte("garbage"), 0o600))
		must(t, syscall.Mount("", mount, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		var got recoveries
		d = open(t, path, Options{Recovered: got.add})
		for _, s := range subjects {
			_, err := s.load(d)
			if s.file == "identity.json" && !errors.Is(err, ports.ErrDamaged) || s.file != "identity.json" && err != nil {
				t.Errorf("%s: %v", s.file, err)
			}
			if err := s.save(d, 2); !errors.Is(err, ports.ErrNotWritten) {
				t.Errorf("%s: %v", s.file, err)
			}
		}
		if err := d.Reserve(t.Context()); !errors.Is(err, ports.ErrNotWritten) || !errors.Is(err, syscall.EROFS) {
			t.Errorf("reserve: %v", err)
		}
		if !slices.Equal(got.actions(), []string{"ignored"}) {
			t.Errorf("recovered by %v", got)
		}
		must(t, syscall.Mount("", mount, "", syscall.MS_REMOUNT, ""))
		for _, s := range subjects {
			must(t, s.save(d, 2))
			s.loads(t, d, 2)
		}
	})
}
