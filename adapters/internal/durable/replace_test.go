package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/contracttest"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	var made calls
	f := open(t, &Disk{Around: made.around}, dir)
	made = nil
	is.NoErr(f.Replace("file", Content{Data: []byte("a long first one")}))
	is.Equal(made, calls{OpCreate, OpWrite, OpSync, OpRename, OpSyncDir})
	made = nil
	is.NoErr(f.Replace("file", Content{Data: []byte("short"), ReadBack: true}))
	is.Equal(made, calls{OpCreate, OpWrite, OpSync, OpReadBack, OpRename, OpSyncDir})
	is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "short")
	is.Equal(disktest.Tree(t, dir), []string{"file"})

	// What an interrupted call left beside it is written over, and what no call
	// leaves is not removed.
	disktest.Write(t, filepath.Join(dir, "file.new"), "half a fi")
	is.NoErr(f.Replace("file", Content{Data: []byte("whole")}))
	is.Equal(disktest.Tree(t, dir), []string{"file"})
	disktest.Write(t, filepath.Join(dir, "file.new", "mine"), "mine")
	is.True(f.Replace("file", Content{Data: []byte("other")}) != nil) // there is no place to write it first
	is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "whole")
	is.Equal(disktest.Tree(t, dir), []string{"file", "file.new/mine"})
}

func TestStagedIsNotTaken(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	f := open(t, new(Disk), dir)
	disktest.Write(t, filepath.Join(dir, "file"), "old")
	is.NoErr(f.Stage("file", Content{Data: []byte("new")}))
	is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "old")
	is.Equal(disktest.Read(t, filepath.Join(dir, "file.new")), "new")
	is.NoErr(f.Take("file"))
	is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "new")
	is.NoErr(f.Stage("file", Content{Data: []byte("newer")}))
	f.Discard("file")
	is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "new")
	is.Equal(disktest.Tree(t, dir), []string{"file"})
}

// TestCheck shows that what is judged lies complete beside the file, and that
// what is found wrong changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	f := open(t, new(Disk), dir)
	for want, wrong := range map[string]error{"old": errors.New("wrong"), "new": nil} {
		disktest.Write(t, filepath.Join(dir, "file"), "old")
		err := f.Replace("file", Content{Data: []byte("new"), Check: func(path string) error {
			is.Equal(path, filepath.Join(dir, "file.new"))
			is.Equal(disktest.Read(t, path), "new")
			is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "old")
			return wrong
		}})
		is.Equal(err, wrong)
		is.Equal(disktest.Read(t, filepath.Join(dir, "file")), want)
		is.Equal(disktest.Tree(t, dir), []string{"file"})
	}
}

func TestReadBackCompares(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	f := open(t, new(Disk), dir)
	disktest.Write(t, filepath.Join(dir, "file"), "old")
	for _, harm := range []func(path string) error{
		func(path string) error { return os.WriteFile(path, []byte("nEw"), 0o600) }, // into the same file
		func(path string) error { return os.Truncate(path, 1) },
		func(path string) error { return os.Truncate(path, 5) },
	} {
		f.disk.Around = func(op Op, path string, call func() error) error {
			err := call()
			if op == OpSync { // the disk lies
				disktest.Must(t, harm(path))
			}
			return err
		}
		is.True(f.Replace("file", Content{Data: []byte("new"), ReadBack: true}) != nil) // not what was written
		f.disk.Around = nil
		is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "old")
		is.Equal(disktest.Tree(t, dir), []string{"file"})
	}
}

// TestReserve shows that what was reserved is written where the placeholder
// lay, cut to its length, and that a placeholder that is gone is no error.
func TestReserve(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	f := open(t, new(Disk), dir)
	tmp := filepath.Join(dir, "file.new")
	for _, again := range []bool{false, true} {
		is.NoErr(f.Reserve("file", 100, again))
		placeholder, err := os.Stat(tmp)
		is.NoErr(err)
		is.Equal(placeholder.Size(), int64(100))
		is.True(os.SameFile(placeholder, placeholder)) // Windows looks at the file for it, once
		if !again {
			continue
		}
		is.NoErr(f.Replace("file", Content{Data: []byte("new"), Reserved: true}))
		after, err := os.Stat(filepath.Join(dir, "file"))
		is.NoErr(err)
		is.True(os.SameFile(placeholder, after)) // overwritten where it lay
		is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "new")
	}
	is.NoErr(f.Replace("file", Content{Data: []byte("newer"), Reserved: true}))
	is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "newer")
	is.Equal(disktest.Tree(t, dir), []string{"file"})

	f.disk.Around = func(op Op, _ string, call func() error) error {
		if op == OpWrite {
			return fs.ErrInvalid
		}
		return call()
	}
	is.True(errors.Is(f.Reserve("file", 100, false), fs.ErrInvalid))
	is.Equal(disktest.Tree(t, dir), []string{"file"}) // nothing is taken for a replacement
}

// TestGuarded shows that the Guard makes directories and what others may not
// read, before the first byte of it is written, and nothing else.
func TestGuarded(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "dir")
	guard := new(contracttest.RecordingGuard)
	d := &Disk{Guard: guard, Around: func(op Op, path string, call func() error) error {
		if op == OpWrite {
			guard.Note("write %s", path)
		}
		return call()
	}}
	is.NoErr(d.MkdirAll(dir, d.Mkdir))
	f := open(t, d, dir)
	is.NoErr(f.Mkdir("sub"))
	is.NoErr(f.Replace("key", Content{Data: []byte("key")}))
	is.NoErr(f.Replace("public", Content{Data: []byte("public"), Mode: 0o644}))
	is.Equal(guard.Log, []string{
		"mkdir " + dir, "mkdir " + f.At("sub"),
		"create " + f.At("key.new"), "write " + f.At("key.new"), "write " + f.At("public.new"),
	})
}

// TestLinks shows that a link is replaced, set aside or refused, and never
// followed.
func TestLinks(t *testing.T) {
	contracttest.SkipWithoutLinks(t)
	t.Parallel()
	is := is.New(t)
	dir, outside := t.TempDir(), t.TempDir()
	target := filepath.Join(outside, "target")
	disktest.Write(t, target, "theirs")
	f := open(t, new(Disk), dir)
	for _, name := range []string{"file", "file.new"} {
		disktest.Must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	is.NoErr(f.Replace("file", Content{Data: []byte("ours")}))
	is.Equal(disktest.Read(t, filepath.Join(dir, "file")), "ours")

	disktest.Must(t, os.Symlink(target, filepath.Join(dir, "file.new")))
	_ = f.Replace("file", Content{Data: []byte("ours too"), Reserved: true}) // which way it ends does not matter
	disktest.Must(t, os.Symlink(target, filepath.Join(dir, "link")))
	aside, err := f.SetAside("link")
	is.NoErr(err)
	info, err := f.Lstat(aside)
	is.NoErr(err)
	is.True(info.Mode()&fs.ModeSymlink != 0) // the link itself

	disktest.Must(t, os.Symlink(outside, filepath.Join(dir, "out")))
	_, err = f.Sub("out")
	is.True(err != nil) // it leads out of the folder
	is.NoErr(f.RemoveAll("out"))
	is.Equal(disktest.Tree(t, outside), []string{"target"})
	is.Equal(disktest.Read(t, target), "theirs")
}

func TestCause(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	f := open(t, new(Disk), t.TempDir())
	for _, err := range []error{
		f.Rename("nothing", "else"), f.Do(OpOpen, "nothing", func() error { _, err := os.Open("nothing"); return err }),
		&fs.PathError{Op: "open", Path: "x", Err: os.NewSyscallError("open", fs.ErrNotExist)},
	} {
		is.True(errors.Is(err, fs.ErrNotExist))
		is.True(errors.Is(Cause(err), fs.ErrNotExist))
		is.True(!strings.Contains(Cause(err).Error(), "nothing") && !strings.Contains(Cause(err).Error(), "open"))
	}
}
