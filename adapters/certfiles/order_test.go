package certfiles

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// TestOnDiskBeforeItTakesAFilesPlace shows the order that a power cut relies
// on: content, name, directory.
func TestOnDiskBeforeItTakesAFilesPlace(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	f := New(at(dir))
	is.NoErr(f.Install(t.Context(), set("1"))) // makes the directory, which is a sync of its own
	var calls []string
	f.disk.Around = func(op durable.Op, path string, call func() error) error {
		calls = append(calls, string(op)+" "+filepath.Base(path))
		return call()
	}
	is.NoErr(f.Install(t.Context(), set("2")))
	index := func(call string) int { return slices.Index(calls, call) }
	renamed := -1
	for _, name := range []string{"ca.pem", "server.pem", "server.key.pem", "crl.pem"} {
		written, synced := index("write "+name+durable.NewSuffix), index("sync "+name+durable.NewSuffix)
		renamed = index("rename " + name)
		is.True(written >= 0)
		is.True(synced > written)
		is.True(renamed > synced)
	}
	last := calls[len(calls)-1]
	is.True(strings.HasPrefix(last, string(durable.OpSyncDir)))
	is.True(len(calls)-1 > renamed)
}

// TestSetAsideIsOnDiskBeforeAnythingTakesAFilesPlace shows the same of a
// damaged file: its new name is on disk when the call returns, and an earlier
// call's too.
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
