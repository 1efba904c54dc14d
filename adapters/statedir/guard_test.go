package statedir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestLockedThenWritten shows for each record that every directory on its way
// was made, and the state directory claimed, by the Guard, and the file made by
// it too, before the first byte was written; and that the same holds in a
// directory that was there.
func TestLockedThenWritten(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		for _, there := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, there %v", s.file, there), func(t *testing.T) {
				path := newDir(t)
				if there {
					must(t, os.Mkdir(path, 0o777))
				}
				g := new(contracttest.RecordingGuard)
				d := open(t, path, Options{Guard: g, Protector: contracttest.NewMemoryProtector()})
				writes := 0
				d.disk.Around = func(op durable.Op, file string, call func() error) error {
					if op == durable.OpWrite {
						writes++
						g.Note("write %s", file)
					}
					return call()
				}
				for n := range 2 {
					g.Log = nil
					if n == 0 && !there {
						must(t, os.RemoveAll(path)) // what Open made
					}
					must(t, s.save(d, n))
					if s.reserve != nil {
						must(t, s.reserve(d))
						must(t, s.save(d, n))
					}
					inOrder(t, g.Log, path, n == 0 && !there)
				}
				if writes < 2 {
					t.Fatalf("saw %d writes", writes)
				}
				checkAllMadeBy(t, g, path)
			})
		}
	}
}

// inOrder fails the test unless what is written comes after what closes its way
// to others.
func inOrder(t *testing.T, log []string, path string, fresh bool) {
	t.Helper()
	claimed, wrote := false, false
	for i, entry := range log {
		what, file, _ := strings.Cut(entry, " ")
		switch what {
		case "claim":
			claimed = true
		case "write":
			wrote = true
			before := log[:i]
			if !claimed || fresh && !slices.Contains(before, "mkdir "+path) {
				t.Fatalf("written before the directory was locked:\n%s", strings.Join(log, "\n"))
			}
			if !slices.Contains(before, "create "+file) {
				t.Fatalf("written to a file that was not made locked:\n%s", strings.Join(log, "\n"))
			}
			folder := filepath.Dir(file)
			if fresh && !slices.Contains(before, "mkdir "+folder) {
				t.Fatalf("written in a folder that was not made locked:\n%s", strings.Join(log, "\n"))
			}
		}
	}
	if !wrote {
		t.Fatal("nothing was written")
	}
}

// checkAllMadeBy fails for a file that was not made by the Guard.
func checkAllMadeBy(t *testing.T, g *contracttest.RecordingGuard, path string) {
	t.Helper()
	for _, name := range tree(t, path) {
		if !strings.HasSuffix(name, durable.NewSuffix) && !slices.Contains(g.Log, "create "+filepath.Join(path, filepath.FromSlash(name))+durable.NewSuffix) {
			t.Errorf("%s was made by somebody else", name)
		}
	}
}

func TestSomebodyElsesDirectory(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		is := is.New(t)
		path := newDir(t)
		must(t, s.save(open(t, path, Options{}), 1))
		before := tree(t, path)

		g := &contracttest.RecordingGuard{Foreign: true}
		reader := open(t, path, Options{Guard: g, ReadOnly: true})
		_, err := s.load(reader)
		is.True(errors.Is(err, ports.ErrUnreadable))
		is.Equal(tree(t, path), before)

		var got recoveries
		d := open(t, path, Options{Guard: g, Recovered: got.add})
		_, err = s.load(d)
		is.True(errors.Is(err, ports.ErrNotStored)) // nothing in it is read
		is.Equal(got.actions(), []string{"set aside"})
		is.Equal(tree(t, got[0].SetAside), before)
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
		must(t, s.save(open(t, path, Options{}), 1))
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
		before := tree(t, path)
		g.Denied = fmt.Errorf("%s %w: run as the SYSTEM service: muster service install", path, ports.ErrUnreadable)
		for _, err := range []error{second(s.load(d)), s.save(d, 2)} {
			is.True(errors.Is(err, ports.ErrUnreadable))
			is.True(!errors.Is(err, ports.ErrNotStored))
			is.Equal(strings.Count(err.Error(), "cannot be read"), 1)
			is.True(strings.Contains(err.Error(), "muster service install"))
		}
		is.Equal(tree(t, path), before)
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
		before := read(t, g.Exposed)
		for _, err := range []error{second(s.load(d)), s.save(d, 2)} {
			is.True(errors.Is(err, ports.ErrUnreadable))
		}
		is.True(bytes.Equal(read(t, g.Exposed), before))
		g.Exposed = ""
		s.loads(t, d, 1)
	}
}
