//go:build unix

package statedir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
)

// TestModeComesBeforeContent shows that there is no moment at which another
// user could read what is written.
func TestModeComesBeforeContent(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	d := open(t, newDir(t), Options{})
	writes := 0
	d.disk.Around = func(op durable.Op, path string, call func() error) error {
		if op == durable.OpWrite {
			writes++
			info, err := os.Stat(path)
			is.NoErr(err)
			is.Equal(info.Mode().Perm(), fs.FileMode(0o600))
			info, err = os.Stat(filepath.Dir(path))
			is.NoErr(err)
			is.Equal(info.Mode().Perm(), fs.FileMode(0o700))
		}
		return call()
	}
	want := 0
	for _, s := range subjects {
		is.NoErr(s.save(d, 1))
		want++
		if s.reserve != nil {
			is.NoErr(s.reserve(d))
			want++
		}
	}
	is.Equal(writes, want)
}

// TestRemovalIsSynced shows that what is gone does not come back with a power
// cut.
func TestRemovalIsSynced(t *testing.T) {
	t.Parallel()
	d := open(t, newDir(t), Options{})
	for _, s := range subjects {
		if s.erase == nil {
			continue
		}
		t.Run(strings.ReplaceAll(s.file, "/", " "), func(t *testing.T) {
			is := is.New(t)
			d.disk.Around = nil
			is.NoErr(s.save(d, 1))
			var made calls
			d.disk.Around = made.around
			is.NoErr(s.erase(d))
			is.True(len(made) > 0)
			is.Equal(made[len(made)-1], durable.OpSyncDir) // after the removal
		})
	}
}
