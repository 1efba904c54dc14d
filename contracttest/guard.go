package contracttest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// Guard is the suite of ports.Guard, as far as a test under one account can show
// it: the adapter's own tests show what other accounts may do.
func Guard(t *testing.T, open func() ports.Guard) {
	names(t, "Guard")
	t.Run("what it made it claims", func(t *testing.T) {
		is := is.New(t)
		path := filepath.Join(t.TempDir(), "state")
		is.NoErr(open().Mkdir(path))
		for _, readOnly := range []bool{true, false} {
			done, err := open().Claim(path, readOnly)
			is.NoErr(err)
			is.Equal(done, ports.Recovery{})
		}
	})
	t.Run("where nothing lies there is nothing to claim", func(t *testing.T) {
		is := is.New(t)
		path := filepath.Join(t.TempDir(), "state")
		done, err := open().Claim(path, false)
		is.True(errors.Is(err, fs.ErrNotExist))
		is.Equal(done, ports.Recovery{})
	})
	t.Run("a file of its making is read, written, private and unaltered", func(t *testing.T) {
		is := is.New(t)
		g := open()
		path := filepath.Join(t.TempDir(), "key")
		file, err := g.Create(path)
		is.NoErr(err)
		_, err = file.WriteString("words")
		is.NoErr(err)
		got := make([]byte, 5)
		_, err = file.ReadAt(got, 0)
		is.NoErr(err)
		is.Equal(string(got), "words")
		is.NoErr(open().Unaltered(file))
		is.NoErr(open().Sealed(file))
		is.NoErr(file.Close())
		is.NoErr(open().Private(path))
	})
	t.Run("what lies there is not made again", func(t *testing.T) {
		is := is.New(t)
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		is.NoErr(os.WriteFile(path, []byte("words"), 0o600))
		_, err := open().Create(path)
		is.True(errors.Is(err, fs.ErrExist))
		is.True(errors.Is(open().Mkdir(path), fs.ErrExist))
		is.True(errors.Is(open().Mkdir(dir), fs.ErrExist))
		kept, err := os.ReadFile(path)
		is.NoErr(err)
		is.Equal(string(kept), "words")
	})
	t.Run("a parent that is not there is said", func(t *testing.T) {
		is := is.New(t)
		path := filepath.Join(t.TempDir(), "no", "state")
		is.True(errors.Is(open().Mkdir(path), fs.ErrNotExist))
		_, err := open().Create(path)
		is.True(errors.Is(err, fs.ErrNotExist))
	})
}

// RecordingGuard is a ports.Guard that records what it was asked for. Stores are
// tested with it on systems that have no Guard of their own. The zero value is
// usable.
type RecordingGuard struct {
	mu  sync.Mutex
	Log []string // "mkdir PATH", "create PATH", "claim PATH", and what was noted

	Foreign bool   // the directory, if there is one, is somebody else's
	Denied  error  // the answer of every Claim
	Exposed string // the file that others reach
}

// Note adds a line to the log.
func (g *RecordingGuard) Note(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.Log = append(g.Log, fmt.Sprintf(format, args...))
}

// Claim implements ports.Guard.
func (g *RecordingGuard) Claim(path string, readOnly bool) (ports.Recovery, error) {
	g.Note("claim %s", path)
	if g.Denied != nil {
		return ports.Recovery{}, g.Denied
	}
	if _, err := os.Lstat(path); err != nil || !g.Foreign {
		return ports.Recovery{}, err
	}
	if readOnly {
		return ports.Recovery{}, fmt.Errorf("%s %w: it is somebody else's", path, ports.ErrUnreadable)
	}
	g.Foreign = false
	if err := os.Rename(path, path+".foreign-1"); err != nil {
		return ports.Recovery{}, err
	}
	return ports.Recovery{File: path, Action: "set aside", SetAside: path + ".foreign-1", Reason: "it is somebody else's"}, fs.ErrNotExist
}

// Mkdir implements ports.Guard.
func (g *RecordingGuard) Mkdir(path string) error {
	g.Note("mkdir %s", path)
	return os.Mkdir(path, 0o700)
}

// Create implements ports.Guard.
func (g *RecordingGuard) Create(path string) (*os.File, error) {
	g.Note("create %s", path)
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// Private implements ports.Guard.
func (g *RecordingGuard) Private(path string) error {
	if path == g.Exposed {
		return errors.New("everybody can get at it")
	}
	return nil
}

// Unaltered implements ports.Guard.
func (g *RecordingGuard) Unaltered(*os.File) error { return nil }

// Sealed implements ports.Guard.
func (g *RecordingGuard) Sealed(*os.File) error { return nil }
