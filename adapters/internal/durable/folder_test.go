package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestRemove(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	f := open(t, new(Disk), dir)
	disktest.Write(t, filepath.Join(dir, "file"), "")
	disktest.Write(t, filepath.Join(dir, "folder", "mine"), "mine")
	is.NoErr(f.Remove("file"))
	is.NoErr(f.Remove("file"))         // nothing there is no error
	is.True(f.Remove("folder") != nil) // it is not empty
	is.Equal(disktest.Tree(t, dir), []string{"folder/mine"})
	is.NoErr(f.RemoveAll("folder"))
	is.NoErr(f.RemoveAll("folder"))
	names, err := f.Names("")
	is.NoErr(err)
	is.Equal(len(names), 0)
}

func TestNames(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	f := open(t, new(Disk), dir)
	for _, name := range []string{"b", "ba", "a", "c"} {
		disktest.Write(t, filepath.Join(dir, name), name)
	}
	names, err := f.Names("b")
	is.NoErr(err)
	is.Equal(names, []string{"b", "ba"})
	is.NoErr(f.Rename("c", "b")) // in its place
	is.Equal(disktest.Read(t, f.At("b")), "c")
}

// TestSynced shows what a Folder knows of its names: a directory that was made
// is not on disk, and one that was put aside not the same any more.
func TestSynced(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	guard := new(contracttest.RecordingGuard)
	d := &Disk{Guard: guard}
	f := open(t, d, dir)
	is.True(!f.Synced()) // a process before may have made what is there
	is.NoErr(f.Sync())
	is.True(f.Synced()) // by this process
	is.NoErr(f.Replace("file", Content{Data: []byte("x")}))
	is.NoErr(f.Mkdir("sub"))
	is.True(!f.Synced()) // a directory was made in it
	is.True(errors.Is(f.Mkdir("sub"), fs.ErrExist))
	is.NoErr(d.SyncDir(dir))
	is.True(f.Synced())
	sub, err := f.Sub("sub")
	is.NoErr(err)
	is.NoErr(sub.Sync())
	sub.Close()

	_, err = d.Claim(f.At("sub"), false)
	is.NoErr(err)
	is.True(f.Synced())
	guard.Foreign = true
	done, err := d.Claim(f.At("sub"), false)
	is.True(errors.Is(err, fs.ErrNotExist) && done.SetAside != "")
	is.True(!f.Synced() && !sub.Synced()) // they may be others
	done, err = new(Disk).Claim(filepath.Join(dir, "nothing"), false)
	is.True(err == nil && done == ports.Recovery{}) // without a Guard
}

// TestMkdirAll shows that each directory is on disk in its parent, once.
func TestMkdirAll(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	top := t.TempDir()
	path := filepath.Join(top, "a", "b")
	var synced []string
	d := &Disk{Around: func(op Op, path string, call func() error) error {
		if op == OpSyncDir {
			synced = append(synced, path)
		}
		return call()
	}}
	is.NoErr(d.MkdirAll(path, d.Mkdir))
	is.Equal(synced, []string{filepath.Dir(top), top, filepath.Join(top, "a")})
	synced = nil
	is.NoErr(d.MkdirAll(path, d.Mkdir))
	is.Equal(len(synced), 0)
	other := &Disk{Around: d.Around}
	is.NoErr(other.MkdirAll(path, d.Mkdir)) // for a process that did not live to
	is.Equal(synced, []string{filepath.Join(top, "a")})

	// Another process is faster.
	is.NoErr(d.MkdirAll(filepath.Join(top, "c"), func(path string) error {
		disktest.Must(t, os.Mkdir(path, 0o700))
		return d.Mkdir(path)
	}))
	// What lies there is no directory.
	disktest.Write(t, filepath.Join(top, "file"), "")
	is.True(d.MkdirAll(filepath.Join(top, "file", "below"), d.Mkdir) != nil) // below a file

	// What could not be synced is made again by the next call.
	failing := &Disk{Around: func(op Op, path string, call func() error) error {
		if op == OpSyncDir && path == top {
			return fs.ErrInvalid
		}
		return call()
	}}
	is.True(errors.Is(failing.MkdirAll(filepath.Join(top, "d"), d.Mkdir), fs.ErrInvalid))
	_, err := os.Stat(filepath.Join(top, "d"))
	is.True(errors.Is(err, fs.ErrNotExist))
}
