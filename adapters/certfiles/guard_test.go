package certfiles

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/contracttest"
)

// TestTheKeyIsGuarded shows that the key's file and every directory is closed
// to others before the first byte is written, and the public files are not.
func TestTheKeyIsGuarded(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "certs")
	paths := apart(dir)
	g := new(contracttest.RecordingGuard)
	f := New(paths)
	f.Guard = g
	key := paths.Key + durable.NewSuffix
	wrote := false
	f.disk.Around = func(op durable.Op, path string, call func() error) error {
		if op == durable.OpWrite && path == key {
			wrote = true
			is.True(slices.Contains(g.Log, "mkdir "+dir))
			is.True(slices.Contains(g.Log, "mkdir "+filepath.Dir(key)))
			is.True(slices.Contains(g.Log, "create "+key))
		}
		return call()
	}
	is.NoErr(f.Install(t.Context(), set("1")))
	is.True(wrote)
	holds(t, f, set("1"))
	is.True(!slices.Contains(g.Log, "create "+paths.Server+durable.NewSuffix))
	is.NoErr(f.KeepPrevious(t.Context()))
	is.True(slices.Contains(g.Log, "create "+paths.Key+previousSuffix+durable.NewSuffix))
}
