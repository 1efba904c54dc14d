// Package durable changes files and directories so that a crash or a power cut
// at any moment leaves either what was there or what was to be there: the one
// place of the adapters that replaces a file, sets one aside, syncs a directory,
// and deals with owners and with the Guard.
//
// It decides nothing: what is damaged, who may read what and what a person is
// told is for its callers.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Op names a call to the file system.
type Op string

// The calls, each with the path that it is about.
const (
	OpOpen     Op = "open"
	OpStat     Op = "stat"
	OpRead     Op = "read"
	OpCreate   Op = "create"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpSync     Op = "sync"
	OpReadBack Op = "read back"
	OpRename   Op = "rename" // the path is the new name
	OpRemove   Op = "remove"
	OpMkdir    Op = "mkdir"
	OpSyncDir  Op = "sync directory"
	OpClaim    Op = "claim"
)

// Disk makes the calls to the file system. The zero value is ready for use, by
// one goroutine at a time.
type Disk struct {
	// Guard makes directories and files of mode 0600 where modes do not keep
	// others out; nil elsewhere.
	Guard ports.Guard
	// Now dates the names of what is set aside; time.Now if nil.
	Now func() time.Time
	// Around, if it is set, is handed each call in place of it being made. Tests
	// fail a call, or stop at it as a crash would.
	Around func(op Op, path string, call func() error) error

	// synced are the directories, by path, that were synced since this process
	// last made a directory in them.
	synced map[string]bool
}

// Do makes a call that the package has no method for.
func (d *Disk) Do(op Op, path string, call func() error) error {
	if d.Around == nil {
		return call()
	}
	return d.Around(op, path, call)
}

// Claim has the Guard, if there is one, see to it that nobody else reaches the
// directory path, before anything in it is read or written. The answer is that
// of ports.Guard.
func (d *Disk) Claim(path string, readOnly bool) (done ports.Recovery, err error) {
	if d.Guard == nil {
		return done, nil
	}
	err = d.Do(OpClaim, path, func() (err error) {
		done, err = d.Guard.Claim(path, readOnly)
		return err
	})
	if done.SetAside != "" {
		clear(d.synced)
	}
	return done, err
}

// Mkdir makes the directory path, in a parent that exists, with mode 0700.
func (d *Disk) Mkdir(path string) error {
	if d.Guard != nil {
		return d.Guard.Mkdir(path)
	}
	return os.Mkdir(path, 0o700)
}

// MkdirGiven is Mkdir for a directory that root gives to the owner of its
// parent.
func (d *Disk) MkdirGiven(path string) error {
	if err := d.Mkdir(path); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Dir(path))
	if err == nil {
		err = ownerOf(info).give(path)
	}
	if err != nil {
		_ = os.Remove(path) // so that the next call makes and gives it away again
	}
	return err
}

// GiveAway gives an open file of root's to the owner of the directory dir, as is
// every file that root makes in a Folder.
func GiveAway(file *os.File, dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return ownerOf(info).take(file)
}

// MkdirAll makes the directory path and its missing parents, each by mkdir and
// on disk in its own parent when it returns nil. A directory that it finds may
// be one that another process made and did not live to sync: a Disk syncs the
// parent of such a one once.
func (d *Disk) MkdirAll(path string, mkdir func(path string) error) error {
	_, err := os.Stat(path)
	parent := filepath.Dir(path)
	missing := errors.Is(err, fs.ErrNotExist) && parent != path
	if err != nil && !missing || err == nil && d.synced[parent] {
		return err
	}
	if missing {
		if err := d.MkdirAll(parent, mkdir); err != nil {
			return err
		}
		if err := d.Do(OpMkdir, path, func() error { return mkdir(path) }); err != nil {
			if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
				return err
			}
			missing = false // another process was faster
		}
		d.made(parent, path)
	}
	dir, err := os.Open(parent)
	if err != nil {
		return nil // a parent that may be searched but not read cannot be synced
	}
	defer dir.Close() // read only: nothing is lost
	if err := d.sync(parent, dir); err != nil {
		if missing {
			_ = os.Remove(path) // so that the next call makes and syncs it again
		}
		return err
	}
	return nil
}

// SyncDir makes the names in the directory path durable.
func (d *Disk) SyncDir(path string) error {
	f, err := d.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// made forgets what was synced: path is a new name in dir.
func (d *Disk) made(dir, path string) {
	delete(d.synced, dir)
	delete(d.synced, path)
}

// sync makes the names in dir, which is open, durable.
func (d *Disk) sync(path string, dir *os.File) error {
	err := d.Do(OpSyncDir, path, func() error { return syncDir(dir) })
	if err == nil {
		if d.synced == nil {
			d.synced = map[string]bool{}
		}
		d.synced[path] = true
	}
	return err
}

// Cause strips what the errors of package os add: the path, which may be
// relative and is named already, and the system call.
func Cause(err error) error {
	for {
		var path *fs.PathError
		var link *os.LinkError
		var call *os.SyscallError
		switch {
		case errors.As(err, &path):
			err = path.Err
		case errors.As(err, &link):
			err = link.Err
		case errors.As(err, &call):
			err = call.Err
		default:
			return err
		}
	}
}
