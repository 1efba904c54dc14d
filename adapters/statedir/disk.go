package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// op names a call to the file system.
type op string

const (
	opOpen     op = "open"
	opStat     op = "stat"
	opRead     op = "read"
	opCreate   op = "create"
	opWrite    op = "write"
	opTruncate op = "truncate"
	opSync     op = "sync"
	opReadBack op = "read back"
	opRename   op = "rename"
	opRemove   op = "remove"
	opMkdir    op = "mkdir"
	opSyncDir  op = "sync directory"
	opClaim    op = "claim"
)

// disk passes on every call to the file system. Tests fail a call, or stop at
// it as a crash would, through around; it is nil otherwise.
type disk struct {
	around func(op op, path string, call func() error) error
}

func (d *disk) do(op op, path string, call func() error) error {
	if d.around == nil {
		return call()
	}
	return d.around(op, path, call)
}

// mkdirAll makes the directory path by one and its missing parents with mode
// 0755, each synced into its own parent.
func (d *disk) mkdirAll(path string, one func(path string) error) error {
	mkdir := func() error {
		return d.do(opMkdir, path, func() error { return one(path) })
	}
	parent := filepath.Dir(path)
	err := mkdir()
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := d.mkdirAll(parent, func(path string) error { return os.Mkdir(path, 0o755) }); err != nil {
			return err
		}
		err = mkdir()
	}
	if err != nil {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return nil // another process was faster
		}
		return err
	}
	dir, err := os.Open(parent)
	if err != nil {
		return nil // a parent that may be written but not read cannot be synced
	}
	defer dir.Close() // read only: nothing is lost
	err = d.do(opSyncDir, parent, func() error { return syncDir(dir) })
	if err != nil {
		_ = os.Remove(path) // so that the next call makes and syncs it again
	}
	return err
}
