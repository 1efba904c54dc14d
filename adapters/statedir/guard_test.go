package statedir

import (
	"errors"
	"fmt"
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

// TestLockedThenWritten shows for each record that the state directory was
// claimed, and all on the way to it made by the Guard, before its first byte was
// written; and that a directory that is there is claimed before it is used.
func TestLockedThenWritten(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		is := is.New(t)
		path := newDir(t)
		file := filepath.Join(path, filepath.FromSlash(s.file))
		g := new(contracttest.RecordingGuard)
		d := open(t, path, Options{Guard: g, Protector: contracttest.NewMemoryProtector()})
		d.disk.Around = func(op durable.Op, path string, call func() error) error {
			if op == durable.OpWrite {
				g.Note("write %s", path)
			}
			return call()
		}
		is.NoErr(s.save(d, 1))
		written := slices.Index(g.Log, "write "+file+durable.NewSuffix)
		for _, first := range []string{"claim " + path, "mkdir " + path, "mkdir " + filepath.Dir(file), "create " + file + durable.NewSuffix} {
			if i := slices.Index(g.Log, first); i < 0 || i > written {
				t.Errorf("%s: no %q before it was written:\n%s", s.file, first, strings.Join(g.Log, "\n"))
			}
		}
		g.Log = nil
		is.NoErr(s.save(d, 2))
		if s.reserve != nil {
			is.NoErr(s.reserve(d))
			is.NoErr(s.save(d, 3))
		}
		is.Equal(g.Log[0], "claim "+path)
		g.Log = slices.DeleteFunc(g.Log, func(entry string) bool { return strings.HasPrefix(entry, "claim ") })
		is.Equal(g.Log[:2], []string{"create " + file + durable.NewSuffix, "write " + file + durable.NewSuffix})
	}
}

func TestSomebodyElsesDirectory(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		is := is.New(t)
		path := newDir(t)
		disktest.Must(t, s.save(open(t, path, Options{}), 1))
		before := disktest.Tree(t, path)

		g := &contracttest.RecordingGuard{Foreign: true}
		reader := open(t, path, Options{Guard: g, ReadOnly: true})
		_, err := s.load(reader)
		is.True(errors.Is(err, ports.ErrUnreadable))
		is.Equal(disktest.Tree(t, path), before)

		var got recoveries
		d := open(t, path, Options{Guard: g, Recovered: got.add})
		_, err = s.load(d)
		is.True(errors.Is(err, ports.ErrNotStored)) // nothing in it is read
		is.Equal(got.actions(), []string{"set aside"})
		is.Equal(disktest.Tree(t, got[0].SetAside), before)
		is.NoErr(s.save(d, 2))
		s.loads(t, d, 2)

		g.Foreign = true // behind our back
		is.NoErr(os.RemoveAll(path + ".foreign-1"))
		is.NoErr(s.save(d, 1))
		s.loads(t, d, 1)
		is.Equal(len(got), 2)
	}
}

// foreignAt is a RecordingGuard for which one path is somebody else's.
type foreignAt struct {
	contracttest.RecordingGuard
	path string
}

func (f *foreignAt) Claim(path string, readOnly bool) (ports.Recovery, error) {
	f.Foreign = path == f.path
	return f.RecordingGuard.Claim(path, readOnly)
}

// TestSomebodyElsesFolder shows that a folder that somebody made in the state
// directory, while others could, is not used.
func TestSomebodyElsesFolder(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		name := filepath.Dir(s.file)
		if name == "." {
			continue
		}
		is := is.New(t)
		path := newDir(t)
		disktest.Must(t, s.save(open(t, path, Options{}), 1))
		g := &foreignAt{path: filepath.Join(path, name)}
		_, err := s.load(open(t, path, Options{Guard: g, ReadOnly: true}))
		is.True(errors.Is(err, ports.ErrUnreadable))
		is.Equal(strings.Count(err.Error(), "cannot be read"), 1)

		var got recoveries
		d := open(t, path, Options{Guard: g, Recovered: got.add})
		_, err = s.load(d)
		is.True(errors.Is(err, ports.ErrNotStored))
		is.Equal(got.actions(), []string{"set aside"})
		g.path = ""
		is.NoErr(s.save(d, 2))
		s.loads(t, d, 2)
	}
}

// TestTheWrongAccount shows that what may not be claimed is neither read nor
// written, and does not look as if nothing were stored.
func TestTheWrongAccount(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		is := is.New(t)
		path := newDir(t)
		g := new(contracttest.RecordingGuard)
		d := open(t, path, Options{Guard: g})
		is.NoErr(s.save(d, 1))
		before := disktest.Tree(t, path)
		g.Denied = fmt.Errorf("%s %w: run as the SYSTEM service: muster service install", path, ports.ErrUnreadable)
		for _, err := range []error{second(s.load(d)), s.save(d, 2)} {
			is.True(errors.Is(err, ports.ErrUnreadable))
			is.True(!errors.Is(err, ports.ErrNotStored))
			is.Equal(strings.Count(err.Error(), "cannot be read"), 1)
			is.True(strings.Contains(err.Error(), "muster service install"))
		}
		is.Equal(disktest.Tree(t, path), before)
		g.Denied = nil
		s.loads(t, d, 1)
	}
}

func TestAFileThatOthersReach(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if !s.is(private) {
			continue
		}
		is := is.New(t)
		path := newDir(t)
		g := new(contracttest.RecordingGuard)
		d := open(t, path, Options{Guard: g})
		is.NoErr(s.save(d, 1))
		g.Exposed = filepath.Join(path, s.file)
		before := disktest.Read(t, g.Exposed)
		for _, err := range []error{second(s.load(d)), s.save(d, 2)} {
			is.True(errors.Is(err, ports.ErrUnreadable))
		}
		is.True(disktest.Read(t, g.Exposed) == before)
		g.Exposed = ""
		s.loads(t, d, 1)
	}
}
