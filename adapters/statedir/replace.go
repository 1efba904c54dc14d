package statedir

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// newSuffix marks the file that is written before it takes a record's place.
// The name is fixed: one process at a time writes, and a start finds it again.
const newSuffix = ".new"

// replacement is how a file is to be replaced.
type replacement struct {
	mode     fs.FileMode
	reserved bool   // a placeholder lies at name.new: overwrite it where it lies
	readBack bool   // compare what the file holds with what was written
	old      []byte // what to put back if the last step fails; nil for nothing
}

// replace makes data what the file name holds: it is written to name.new and
// synced, renamed over name, and the folder is synced. Whatever the moment of a
// crash, name holds the old or the new content, or the complete new content
// lies at name.new. After an error name holds what it held; only a disk that
// fails the undoing too may leave the new content.
func (f *folder) replace(name string, data []byte, r replacement) error {
	tmp := name + newSuffix
	err := f.write(tmp, data, r)
	if err == nil {
		err = f.rename(tmp, name)
	}
	if err != nil {
		f.discard(tmp)
		return err
	}
	if err := f.sync(); err != nil {
		f.putBack(name, r)
		return err
	}
	return nil
}

// write writes and syncs the file name, which must not exist unless it is
// reserved.
func (f *folder) write(name string, data []byte, r replacement) error {
	var file *os.File
	var err error
	if r.reserved {
		err = f.do(opOpen, name, func() error {
			file, err = f.root.OpenFile(name, os.O_RDWR, 0)
			return err
		})
		r.reserved = err == nil
	}
	if !r.reserved && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		err = f.do(opCreate, name, func() error {
			file, err = f.create(name, r.mode)
			return err
		})
	}
	if err != nil {
		return err
	}
	if err := f.fill(file, name, data, r); err != nil {
		_ = file.Close() // the first error is the one that says why
		return err
	}
	return file.Close()
}

func (f *folder) create(name string, mode fs.FileMode) (*os.File, error) {
	if g := f.dir.opts.Guard; g != nil {
		return g.Create(f.at(name))
	}
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	err = f.owner.take(file)
	if err == nil && mode != 0o600 {
		err = file.Chmod(mode) // whatever the umask
	}
	if err != nil {
		_ = file.Close() // the first error is the one that says why
		return nil, err
	}
	return file, nil
}

// fill puts data into file. A placeholder is overwritten before it is cut to
// length, so that nothing is allocated that was not already.
func (f *folder) fill(file *os.File, name string, data []byte, r replacement) error {
	err := f.do(opWrite, name, func() error {
		_, err := file.WriteAt(data, 0)
		return err
	})
	if err == nil && r.reserved {
		err = f.do(opTruncate, name, func() error { return file.Truncate(int64(len(data))) })
	}
	if err == nil {
		err = f.do(opSync, name, file.Sync)
	}
	if err == nil && r.readBack {
		err = f.do(opReadBack, name, func() error { return compare(file, data) })
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
		return fmt.Errorf("what was written could not be read back: %w", cause(err))
	}
	if info.Size() != int64(len(want)) || !bytes.Equal(got, want) {
		return errors.New("the disk does not hold what was written to it; check the disk")
	}
	return nil
}

// discard makes sure that the remains of a failed write are not taken for an
// interrupted replacement. Where that fails too there is nobody left to tell:
// the caller already returns why.
func (f *folder) discard(name string) {
	if f.remove(name) != nil {
		_ = f.do(opTruncate, name, func() error {
			file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				return err
			}
			return file.Close()
		})
	}
	_ = f.sync()
}

// putBack undoes a rename that could not be synced. A disk that fails this too
// leaves the new content or, after a power cut, perhaps the old one.
func (f *folder) putBack(name string, r replacement) {
	if r.old == nil {
		_ = f.remove(name)
		_ = f.sync()
		return
	}
	tmp := name + newSuffix
	err := f.write(tmp, r.old, replacement{mode: r.mode})
	if err == nil {
		err = f.rename(tmp, name)
	}
	if err != nil {
		f.discard(tmp)
		return
	}
	_ = f.sync()
}

// reserve writes and syncs a placeholder of size bytes at name.new, over a
// former one if reserved says so. It is random, so that a file system that
// compresses gives it its full size too. (One that never overwrites in place,
// such as btrfs, may still find no room for the record itself.) Its name need
// not be on disk: it serves this process only.
func (f *folder) reserve(name string, size int, reserved bool) error {
	data := make([]byte, size)
	_, _ = rand.Read(data) // never fails (crypto/rand)
	tmp := name + newSuffix
	err := f.write(tmp, data, replacement{mode: 0o600, reserved: reserved})
	if err != nil {
		f.discard(tmp)
	}
	return err
}
