//go:build unix

package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
)

// TestModes shows that nobody else reads what is written before its first byte,
// and that a file has its mode whatever the umask.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o077} {
		modes(t, umask)
	}
}

func modes(t *testing.T, umask int) {
	is := is.New(t)
	defer syscall.Umask(syscall.Umask(umask))
	dir := filepath.Join(t.TempDir(), "dir")
	mode := func(path string) fs.FileMode {
		t.Helper()
		info, err := os.Stat(path)
		is.NoErr(err)
		return info.Mode().Perm()
	}
	var want fs.FileMode
	writes := 0
	d := &Disk{Around: func(op Op, path string, call func() error) error {
		if op == OpWrite {
			writes++
			is.Equal(mode(path), want)
		}
		return call()
	}}
	is.NoErr(d.MkdirAll(dir, d.Mkdir))
	is.Equal(mode(dir), fs.FileMode(0o700))
	f := open(t, d, dir)
	is.NoErr(f.Mkdir("sub"))
	is.Equal(mode(f.At("sub")), fs.FileMode(0o700))
	disktest.Write(t, f.At("like"), "old")
	is.NoErr(os.Chmod(f.At("like"), 0o640))
	for name, c := range map[string]Content{"key": {}, "public": {Mode: 0o644}, "like": {Like: true}} {
		want = map[string]fs.FileMode{"key": 0o600, "public": 0o644, "like": 0o640}[name]
		is.NoErr(f.Replace(name, c))
		is.Equal(mode(f.At(name)), want)
	}
	want = 0o600
	is.NoErr(f.Reserve("room", 10, false))
	is.NoErr(f.Reserve("room", 10, true))
	is.Equal(writes, 5)
}
