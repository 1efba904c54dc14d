package statedir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

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
