package certfiles

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/contracttest"
)

// TestTheKeyIsGuarded shows that the Guard makes the key's file and every
// directory, and not the public files. That it does so before the first byte is
// written, durable's TestGuarded shows.
func TestTheKeyIsGuarded(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "certs")
	paths := apart(dir)
	g := new(contracttest.RecordingGuard)
	f := New(paths)
	f.Guard = g
	is.NoErr(f.Install(t.Context(), set("1")))
	holds(t, f, set("1"))
	is.NoErr(f.KeepPrevious(t.Context()))
	for _, made := range []string{
		"mkdir " + dir, "mkdir " + filepath.Dir(paths.Key), "mkdir " + filepath.Dir(paths.CA),
		"create " + paths.Key + durable.NewSuffix, "create " + paths.Key + previousSuffix + durable.NewSuffix,
	} {
		is.True(slices.Contains(g.Log, made))
	}
	is.True(!slices.Contains(g.Log, "create "+paths.Server+durable.NewSuffix))
}
