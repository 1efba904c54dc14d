package durable

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
)

// TestSetAside shows that whatever lies there is moved as it is, and that its
// new name is on disk.
func TestSetAside(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	var made calls
	d := &Disk{Around: made.around, Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)) }}
	disktest.Write(t, filepath.Join(dir, "file"), "evidence")
	disktest.Write(t, filepath.Join(dir, "folder", "mine"), "mine")
	f := open(t, d, dir)
	made = nil
	aside, err := f.SetAside("file")
	is.NoErr(err)
	is.Equal(aside, "file.damaged-20260102T020405.000000006Z")
	is.Equal(made, calls{OpRead, OpRename, OpRead, OpSyncDir})
	is.Equal(disktest.Read(t, f.At(aside)), "evidence")
	aside, err = d.SetAside(filepath.Join(dir, "folder"))
	is.NoErr(err)
	is.Equal(disktest.Read(t, filepath.Join(dir, aside, "mine")), "mine")
	aside, err = f.SetAside("nothing")
	is.True(errors.Is(err, fs.ErrNotExist) && aside == "")
	_, err = d.SetAside(filepath.Join(dir, "nowhere", "file"))
	is.True(errors.Is(err, fs.ErrNotExist))

	// What has its new name says so, though that may not be on disk.
	disktest.Write(t, filepath.Join(dir, "file"), "evidence")
	d.Around = func(op Op, _ string, call func() error) error {
		if op == OpSyncDir {
			return fs.ErrInvalid
		}
		return call()
	}
	aside, err = f.SetAside("file")
	is.True(errors.Is(err, fs.ErrInvalid) && aside != "")
}

// TestNewestThreeAreKept shows that names sort as they were given, though the
// clock stands still or goes back.
func TestNewestThreeAreKept(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	now := time.Date(2099, 1, 2, 3, 4, 5, 999999999, time.UTC)
	f := open(t, &Disk{Now: func() time.Time { return now }}, dir)
	for n := range 6 {
		disktest.Write(t, filepath.Join(dir, "file"), string(byte('0'+n)))
		_, err := f.SetAside("file")
		is.NoErr(err)
		if n == 1 {
			now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		}
	}
	kept := disktest.Tree(t, dir)
	is.Equal(kept, []string{
		"file.damaged-20990102T030406.000000002Z", "file.damaged-20990102T030406.000000003Z", "file.damaged-20990102T030406.000000004Z",
	})
	is.Equal(disktest.Read(t, f.At(kept[2])), "5")

	// Nobody steps past a year of five digits, and the name is free all the same.
	disktest.Write(t, f.At("far-99991231T235959.999999999Z"), "")
	disktest.Write(t, f.At("far-100000101T000000.000000000Z"), "")
	far, err := f.FreeName("far-", "")
	is.NoErr(err)
	_, err = f.Lstat(far)
	is.True(errors.Is(err, fs.ErrNotExist)) // it is free

	for range 2 {
		name, err := f.FreeName("bundle-", ".json")
		is.NoErr(err)
		is.True(strings.HasPrefix(name, "bundle-20260102T030405.00000000"))
		disktest.Write(t, f.At(name), name)
	}
	names, err := f.Names("bundle-")
	is.NoErr(err)
	is.Equal(len(slices.Compact(names)), 2)
}
