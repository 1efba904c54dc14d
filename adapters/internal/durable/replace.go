package durable

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// NewSuffix marks the file that is written before it takes another's place. The
// name is fixed: one process at a time writes, and a start finds it again.
const NewSuffix = ".new"

// Content is what a file is to hold, and how it gets there.
type Content struct {
	Data []byte
	Mode fs.FileMode // 0 is 0600
	// Like gives the new file the owner and mode (on Windows the access control
	// list) of the file whose place it takes, and Mode is 0.
	Like bool
	// Ours: root keeps the file, whoever owns the folder.
	Ours bool
	// Reserved: a placeholder lies at name.new, which is overwritten where it
	// lies.
	Reserved bool
	// ReadBack compares what the file holds with what was written.
	ReadBack bool
	// Check, if it is set, judges for Replace what lies at path, name.new, before
	// it takes name's place.
	Check func(path string) error
	// Old is what Replace puts back if its last step fails; nil for nothing.
	Old []byte
}

// Replace makes c what the file name holds: it is written to name.new and
// synced, renamed over name, and the folder is synced. Whatever the moment of a
// crash, name holds the old or the new content, or the complete new content
// lies at name.new. After an error name holds what it held; only a disk that
// fails the undoing too may leave the new content.
func (f *Folder) Replace(name string, c Content) error {
	err := f.Stage(name, c)
	if err == nil && c.Check != nil {
		err = c.Check(f.At(name + NewSuffix))
	}
	if err == nil {
		err = f.Take(name)
	}
	if err != nil {
		f.Discard(name)
		return err
	}
	if err := f.Sync(); err != nil {
		f.putBack(name, c)
		return err
	}
	return nil
}

// Stage writes and syncs what name is to hold beside it, at name.new, in place
// of what an earlier call left there. After an error a part of it may lie there.
func (f *Folder) Stage(name string, c Content) error {
	if c.Mode == 0 {
		c.Mode = 0o600
	}
	tmp := name + NewSuffix
	var file *os.File
	var err error
	if c.Reserved {
		err = f.Do(OpOpen, tmp, func() error {
			file, err = f.root.OpenFile(tmp, os.O_RDWR, 0)
			return err
		})
		c.Reserved = err == nil
	}
	if !c.Reserved && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		err = f.Do(OpCreate, tmp, func() error {
			file, err = f.create(name, c)
			return err
		})
	}
	if err != nil {
		return err
	}
	if err := f.fill(file, tmp, c); err != nil {
		_ = file.Close() // the first error is the one that says why
		return err
	}
	return file.Close()
}

// create makes name.new, with its owner and mode before its first byte.
func (f *Folder) create(name string, c Content) (*os.File, error) {
	tmp := name + NewSuffix
	file, err := f.open(tmp, c)
	if errors.Is(err, fs.ErrExist) {
		if err := remove(f.root, f.path, tmp); err != nil {
			return nil, err
		}
		file, err = f.open(tmp, c)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case c.Like:
		err = f.likeTheOld(file, name)
	case !c.Ours:
		err = f.owner.take(file)
	}
	if err == nil && c.Mode != 0o600 {
		err = file.Chmod(c.Mode) // whatever the umask
	}
	if err != nil {
		_ = file.Close() // the first error is the one that says why
		return nil, err
	}
	return file, nil
}

// open opens a file that must not exist. The Guard makes what others may not
// read; the rest inherits the access control list of its directory.
func (f *Folder) open(name string, c Content) (*os.File, error) {
	if g := f.disk.Guard; g != nil && c.Mode == 0o600 {
		return g.Create(f.At(name))
	}
	return f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, c.Mode)
}

func (f *Folder) likeTheOld(file *os.File, name string) error {
	info, err := f.root.Lstat(name)
	if err != nil {
		return err
	}
	return sameAccess(file, f.At(name), info)
}

// fill puts the content into file. A placeholder is overwritten before it is
// cut to length, so that nothing is allocated that was not already.
func (f *Folder) fill(file *os.File, name string, c Content) error {
	err := f.Do(OpWrite, name, func() error {
		_, err := file.WriteAt(c.Data, 0)
		return err
	})
	if err == nil && c.Reserved {
		err = f.Do(OpTruncate, name, func() error { return file.Truncate(int64(len(c.Data))) })
	}
	if err == nil {
		err = f.Do(OpSync, name, file.Sync)
	}
	if err == nil && c.ReadBack {
		err = f.Do(OpReadBack, name, func() error { return compare(file, c.Data) })
	}
	return err
}

func compare(file *os.File, want []byte) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := file.ReadAt(got, 0); err != nil {
		return fmt.Errorf("what was written could not be read back: %w", Cause(err))
	}
	if info.Size() != int64(len(want)) || !bytes.Equal(got, want) {
		return errors.New("the disk does not hold what was written to it; check the disk")
	}
	return nil
}

// Take puts what lies at name.new, staged or left by an interrupted call, in
// name's place. Sync makes that durable.
func (f *Folder) Take(name string) error { return f.Rename(name+NewSuffix, name) }

// Discard makes sure that what lies at name.new is not taken for an interrupted
// replacement. Where that fails there is nobody left to tell: its caller
// returns an error already.
func (f *Folder) Discard(name string) {
	tmp := name + NewSuffix
	if f.Remove(tmp) != nil {
		_ = f.Do(OpTruncate, tmp, func() error {
			file, err := f.root.OpenFile(tmp, os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				return err
			}
			return file.Close()
		})
	}
	_ = f.Sync()
}

// putBack undoes a rename that could not be synced. A disk that fails this too
// leaves the new content or, after a power cut, perhaps the old one.
func (f *Folder) putBack(name string, c Content) {
	if c.Old == nil {
		_ = f.Remove(name)
		_ = f.Sync()
		return
	}
	err := f.Stage(name, Content{Data: c.Old, Mode: c.Mode, Like: c.Like, Ours: c.Ours})
	if err == nil {
		err = f.Take(name)
	}
	if err != nil {
		f.Discard(name)
		return
	}
	_ = f.Sync()
}

// Reserve writes and syncs a placeholder of size bytes at name.new, over a
// former one if reserved says so. It is random, so that a file system that
// compresses gives it its full size too. (One that never overwrites in place,
// such as btrfs, may still find no room for the content itself.) Its name need
// not be on disk: it serves this process only.
func (f *Folder) Reserve(name string, size int, reserved bool) error {
	data := make([]byte, size)
	_, _ = rand.Read(data) // never fails (crypto/rand)
	err := f.Stage(name, Content{Data: data, Reserved: reserved})
	if err != nil {
		f.Discard(name)
	}
	return err
}
