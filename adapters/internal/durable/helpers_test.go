package durable

import (
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
)

func open(t testing.TB, d *Disk, path string) *Folder {
	t.Helper()
	f, err := d.Open(path)
	disktest.Must(t, err)
	t.Cleanup(f.Close)
	return f
}

// calls keeps the calls to the file system in mind.
type calls []Op

func (c *calls) around(op Op, _ string, call func() error) error {
	*c = append(*c, op)
	return call()
}
