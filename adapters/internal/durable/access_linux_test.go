package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/contracttest"
)

func ownerAt(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Lstat(path)
	disktest.Must(t, err)
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// TestRootGivesFilesToTheOwner shows that what root makes in another user's
// directory is that user's, unless it is said to stay root's or to be like the
// old one.
func TestRootGivesFilesToTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Parallel()
	is := is.New(t)
	const other = 4711
	dir := filepath.Join(t.TempDir(), "dir")
	is.NoErr(os.Mkdir(dir, 0o700))
	is.NoErr(os.Chown(dir, contracttest.Nobody, contracttest.Nobody))
	d := new(Disk)
	below := filepath.Join(dir, "a", "b")
	is.NoErr(d.MkdirAll(below, d.MkdirGiven))
	f := open(t, d, dir)
	is.NoErr(f.Mkdir("sub"))
	sub, err := f.Sub("sub")
	is.NoErr(err)
	defer sub.Close()
	is.NoErr(sub.Replace("file", Content{Mode: 0o644}))
	is.NoErr(f.Reserve("file", 10, false))
	disktest.Write(t, f.At("ours"), "")
	disktest.Write(t, f.At("theirs"), "")
	is.NoErr(os.Chown(f.At("theirs"), other, other))
	for _, name := range []string{"ours", "theirs"} {
		file, err := os.Open(f.At(name))
		is.NoErr(err)
		is.NoErr(GiveAway(file, dir))
		is.NoErr(file.Close())
	}
	for _, name := range []string{"a", "a/b", "sub", "sub/file", "file.new", "ours"} {
		is.Equal(ownerAt(t, f.At(name)), contracttest.Nobody)
	}
	is.Equal(ownerAt(t, f.At("theirs")), other)
	is.NoErr(f.Replace("theirs", Content{Like: true}))
	is.Equal(ownerAt(t, f.At("theirs")), other)
	is.NoErr(f.Replace("ours", Content{Ours: true}))
	is.Equal(ownerAt(t, f.At("ours")), 0)

	// What could not be given away is not left for the next call to find.
	is.NoErr(os.Chown(dir, 0, 0))
	is.NoErr(d.MkdirAll(filepath.Join(dir, "root's"), d.MkdirGiven))
	is.Equal(ownerAt(t, f.At("root's")), 0)
}

// TestFullDisk shows on a real file system that what was reserved is written
// when the disk is full, and that otherwise nothing is lost and it says so.
func TestFullDisk(t *testing.T) {
	contracttest.OnOwnDisk(t, "mode=755,size=128k", func(mount string) {
		is := is.NewRelaxed(t) // this is not the test's own goroutine
		f, err := new(Disk).Open(mount)
		is.NoErr(err)
		defer f.Close()
		// full leaves no byte free, even where a call has freed some.
		full := func(op Op, path string, call func() error) error {
			if op == OpWrite {
				file, err := os.OpenFile(f.At("filler"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
				for err == nil {
					_, err = file.Write(make([]byte, 4096))
				}
				_ = file.Close()
			}
			return call()
		}
		text := strings.Repeat("x", 8000)
		for _, old := range []string{"", "old"} {
			f.disk.Around = full
			err := f.Replace("file", Content{Data: []byte(text), Old: []byte(old)})
			is.True(errors.Is(err, syscall.ENOSPC))
			is.True(errors.Is(f.Reserve("file", 10000, false), syscall.ENOSPC))
			found, err := os.ReadFile(f.At("file"))
			is.True(string(found) == old && (err == nil) == (old != "")) // what was there, if it was

			f.disk.Around = nil
			is.NoErr(os.Remove(f.At("filler")))
			is.NoErr(f.Reserve("file", 10000, false))
			f.disk.Around = full
			is.NoErr(f.Replace("file", Content{Data: []byte(text), Reserved: true}))
			is.Equal(disktest.Read(t, f.At("file")), text)
			f.disk.Around = nil
			is.NoErr(f.Replace("file", Content{Data: []byte("old")}))
			is.Equal(disktest.Tree(t, mount), []string{"file", "filler"})
		}
		is.NoErr(syscall.Mount("", mount, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		is.True(errors.Is(f.Replace("file", Content{Data: []byte("new")}), syscall.EROFS))
		is.Equal(disktest.Read(t, f.At("file")), "old")
	})
}
