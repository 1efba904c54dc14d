package certfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestNames fixes what lies on disk, for people.
func TestNames(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	f := New(at(dir))
	is.NoErr(f.Install(t.Context(), set("1")))
	is.NoErr(f.KeepPrevious(t.Context()))
	is.NoErr(f.Install(t.Context(), set("2")))
	names := []string{"ca.pem", "crl.pem", "server.key.pem", "server.pem"}
	var all []string
	for _, name := range names {
		all = append(all, name, name+".previous")
	}
	is.Equal(disktest.Tree(t, dir), all)
	is.Equal(disktest.Read(t, filepath.Join(dir, "server.key.pem.previous")), canary+"1")
	is.NoErr(f.DropPrevious(t.Context()))
	is.Equal(disktest.Tree(t, dir), names)
}

// TestRead tells apart why a file was not read.
func TestRead(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	paths := at(dir)
	f := New(paths)
	disktest.Write(t, paths.CA, strings.Repeat("x", maxPEM))
	disktest.Write(t, paths.Server, strings.Repeat("x", maxPEM+1))
	disktest.Must(t, os.MkdirAll(paths.Key, 0o700))
	found, err := f.Read(t.Context())
	is.NoErr(err)
	is.Equal(len(found.CA.PEM), maxPEM)
	is.Equal(found.Server, ports.FoundFile{Path: paths.Server, Err: ports.FileUnreadable{Reason: "it is larger than 1048576 bytes"}})
	is.Equal(found.Key, ports.FoundKey{Path: paths.Key, Err: ports.FileDirectory{}})
	is.Equal(found.CRL, ports.FoundFile{Path: paths.CRL, Err: ports.FileMissing{}})

	disktest.Write(t, paths.CRL, strings.Repeat("x", maxCRL))
	disktest.Write(t, paths.Server, "")
	found, err = f.Read(t.Context())
	is.NoErr(err)
	is.Equal(len(found.CRL.PEM), maxCRL)
	is.True(!found.Server.Missing() && len(found.Server.PEM) == 0) // empty, and there
	disktest.Must(t, os.Truncate(paths.CRL, maxCRL+1))
	found, err = f.Read(t.Context())
	is.NoErr(err)
	is.True(found.CRL.Err == ports.FileUnreadable{Reason: "it is larger than 16777216 bytes"} && found.CRL.PEM == nil)
}

// TestSymlinks shows that links are read through and never written through.
func TestSymlinks(t *testing.T) {
	contracttest.SkipWithoutLinks(t)
	t.Parallel()
	is := is.New(t)
	dir, elsewhere := certsDir(t), t.TempDir()
	paths, placed := at(dir), at(elsewhere)
	disktest.Must(t, os.MkdirAll(dir, 0o700))
	disktest.Must(t, New(placed).Install(t.Context(), set("placed")))
	for from, to := range map[string]string{paths.CA: placed.CA, paths.Server: placed.Server, paths.Key: placed.Key, paths.CRL: placed.CRL} {
		disktest.Must(t, os.Symlink(to, from))
	}
	f := New(paths)
	holds(t, f, set("placed"))
	is.NoErr(f.KeepPrevious(t.Context()))
	is.NoErr(f.Install(t.Context(), set("new")))
	holds(t, f, set("new"))
	holds(t, New(placed), set("placed"))
	is.NoErr(f.RestorePrevious(t.Context()))
	holds(t, f, set("placed"))

	// Links that stand where something is written next.
	for _, name := range []string{paths.CA + ".new", paths.Key + ".new", paths.Key + ".previous"} {
		disktest.Must(t, errors.Join(os.RemoveAll(name), os.Symlink(placed.Key, name)))
	}
	is.NoErr(f.KeepPrevious(t.Context()))
	is.NoErr(f.Install(t.Context(), set("newer")))
	holds(t, f, set("newer"))
	holds(t, New(placed), set("placed"))

	// A link to nowhere is a missing file, one to a directory a directory.
	disktest.Must(t, errors.Join(os.Remove(paths.CA), os.Symlink("nowhere", paths.CA)))
	disktest.Must(t, errors.Join(os.Remove(paths.CRL), os.Symlink(elsewhere, paths.CRL)))
	found, err := f.Read(t.Context())
	is.NoErr(err)
	is.True(found.CA.Missing() && found.CRL.Err == ports.FileDirectory{})
	is.NoErr(f.Install(t.Context(), set("newest")))
	holds(t, f, set("newest"))
	is.Equal(len(disktest.Tree(t, elsewhere)), 4)

	// Of a link to a damaged file the link is set aside.
	disktest.Must(t, errors.Join(os.Remove(paths.Server), os.Symlink(placed.Server, paths.Server)))
	is.NoErr(f.SetAside(t.Context(), []ports.DamagedFile{{Path: paths.Server}}))
	aside, err := filepath.Glob(paths.Server + ".damaged-*")
	is.NoErr(err)
	is.Equal(len(aside), 1)
	is.Equal(disktest.Read(t, aside[0]), "server placed")
	is.NoErr(f.Install(t.Context(), set("newest")))
	_, err = f.Erase(t.Context())
	is.NoErr(err)
	_, err = os.Lstat(aside[0])
	is.True(errors.Is(err, fs.ErrNotExist))
	is.Equal(len(disktest.Tree(t, elsewhere)), 4)
}

// TestDirectoryInAFilesPlace shows that it is replaced, and not lost.
func TestDirectoryInAFilesPlace(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, suffix := range []string{"", ".new", ".previous", ".previous.new"} {
		dir := certsDir(t)
		paths := at(dir)
		for _, path := range []string{paths.CA, paths.Server, paths.Key, paths.CRL} {
			disktest.Write(t, filepath.Join(path+suffix, "mine"), "mine")
		}
		f := New(paths)
		var got []ports.Recovery
		f.Recovered = func(r ports.Recovery) { got = append(got, r) }
		is.NoErr(f.KeepPrevious(t.Context()))
		is.NoErr(f.Install(t.Context(), set("1")))
		holds(t, f, set("1"))
		is.Equal(len(got), 4)
		for _, r := range got {
			is.Equal(r.Action, "set aside")
			is.True(strings.HasPrefix(r.SetAside, r.File+".damaged-20"))
			is.Equal(disktest.Read(t, filepath.Join(r.SetAside, "mine")), "mine")
		}
		is.NoErr(f.RestorePrevious(t.Context())) // nothing was kept
		holds(t, f, ports.CertificateSet{})
	}
}

// TestSetAside shows what is reported, that a copy is the file itself with its
// mode, and that Erase removes it.
func TestSetAside(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	paths := apart(dir)
	f := New(paths)
	var got []ports.Recovery
	f.Recovered = func(r ports.Recovery) { got = append(got, r) }
	is.NoErr(f.Install(t.Context(), set("1")))
	before, err := os.Stat(paths.Key)
	is.NoErr(err)
	is.NoErr(f.SetAside(t.Context(), []ports.DamagedFile{{Path: paths.Key, Reason: "it holds no key"}, {Path: filepath.Join(dir, "server.pem.bak")}}))
	is.Equal(len(got), 1)
	is.Equal(got[0], ports.Recovery{File: paths.Key, Action: "set aside", SetAside: got[0].SetAside, Reason: "it holds no key"})
	is.Equal(filepath.Dir(got[0].SetAside), filepath.Dir(paths.Key))
	is.True(strings.HasPrefix(got[0].SetAside, paths.Key+".damaged-20"))
	is.Equal(disktest.Read(t, got[0].SetAside), canary+"1")
	after, err := os.Stat(got[0].SetAside)
	is.NoErr(err)
	is.True(before.ModTime().Equal(after.ModTime()) && before.Mode() == after.Mode()) // os.SameFile needs both names on Windows

	removed, err := f.Erase(t.Context())
	is.NoErr(err)
	is.True(slices.Contains(removed, got[0].SetAside))
	is.Equal(disktest.Tree(t, dir), nil)

	// Where nothing lies, not even a directory, there is nothing to set aside.
	is.NoErr(New(at(filepath.Join(dir, "none"))).SetAside(t.Context(), []ports.DamagedFile{{Path: filepath.Join(dir, "none", "ca.pem")}}))
	_, err = os.Stat(filepath.Join(dir, "none"))
	is.True(errors.Is(err, fs.ErrNotExist))
}

// TestSetAsideIsOnDiskBeforeAnythingTakesAFilesPlace shows that a damaged file's
// new name is on disk when the call returns, and an earlier call's too.
func TestSetAsideIsOnDiskBeforeAnythingTakesAFilesPlace(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	paths := at(dir)
	f := New(paths)
	is.NoErr(f.Install(t.Context(), set("1")))
	var calls []durable.Op
	f.disk.Around = func(op durable.Op, _ string, call func() error) error {
		if op != durable.OpRead { // reading leaves no trace
			calls = append(calls, op)
		}
		return call()
	}
	damaged := []ports.DamagedFile{{Path: paths.Key, Reason: "it is empty"}}
	for _, want := range [][]durable.Op{{durable.OpOpen, durable.OpRename, durable.OpSyncDir}, {durable.OpOpen, durable.OpSyncDir}} {
		calls = nil
		is.NoErr(f.SetAside(t.Context(), damaged))
		is.Equal(calls, want)
	}
}

// TestOrphans shows that what an interrupted call left is gone after the next.
func TestOrphans(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	f := New(at(dir))
	for _, name := range []string{"ca.pem", "server.pem", "server.key.pem", "crl.pem"} {
		disktest.Write(t, filepath.Join(dir, name+".new"), "half")
		disktest.Write(t, filepath.Join(dir, name+".previous.new"), "half")
	}
	is.NoErr(f.KeepPrevious(t.Context()))
	is.NoErr(f.Install(t.Context(), set("1")))
	is.Equal(disktest.Tree(t, dir), []string{"ca.pem", "crl.pem", "server.key.pem", "server.pem"})
}

// TestParentIsAFile shows that nothing is moved that nobody asked to be a
// directory.
func TestParentIsAFile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	disktest.Write(t, dir, "mine")
	f := New(at(dir))
	found, err := f.Read(t.Context())
	is.NoErr(err)
	is.True(found.CA.Err != nil)
	err = f.Install(t.Context(), set("1"))
	is.True(errors.Is(err, ports.ErrNotWritten))
	is.True(strings.Contains(err.Error(), dir))
	is.Equal(disktest.Read(t, dir), "mine")
}

func TestErase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for name, paths := range map[string]func(string) Paths{"one directory": at, "several directories": apart} {
		dir := certsDir(t)
		f := New(paths(dir))
		removed, err := f.Erase(t.Context())
		is.NoErr(err)
		is.Equal(len(removed), 0)

		for _, k := range f.paths.kinds() {
			disktest.Write(t, filepath.Join(k.path, "mine"), "mine")
		}
		is.NoErr(f.Install(t.Context(), set("1")))
		is.NoErr(f.KeepPrevious(t.Context()))
		for _, k := range f.paths.kinds() {
			disktest.Write(t, k.path+".damaged-20260102T030405.000000000Z", canary)
			disktest.Write(t, k.path+".new", canary)
			disktest.Write(t, k.path+".previous.new", canary)
			disktest.Write(t, k.path+".bak", "an administrator's")
		}
		before := disktest.Tree(t, dir)
		removed, err = f.Erase(t.Context())
		is.NoErr(err)
		is.Equal(len(removed), 4*5)
		left := disktest.Tree(t, dir)
		is.Equal(len(left), len(before)-len(removed))
		for _, file := range left {
			if !strings.HasSuffix(file, ".bak") && !strings.HasSuffix(file, "/mine") {
				t.Errorf("%s: %s is left", name, file)
			}
		}
		slices.Sort(removed)
		is.Equal(len(slices.Compact(removed)), 4*5)
	}
}
