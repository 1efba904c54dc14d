package statedir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// maxFile bounds what is read of one file: the largest answer that is kept, a
// certificate bundle (16 MiB: docs/PROTOCOLS.md, "Rules for every request"),
// and its envelope.
const maxFile = 32 << 20

// folder is one directory of the state directory, open.
type folder struct {
	*durable.Folder
	dir *Dir
}

// sub opens a folder in this one. The error is of kind ErrUnreadable.
func (f *folder) sub(name string) (*folder, error) {
	sub, err := f.Sub(name)
	if err != nil {
		return nil, unreadable(f.At(name), err)
	}
	return &folder{sub, f.dir}, nil
}

// child is sub for a folder that may be missing; with create it is made then.
// What lies in its place and is no folder is set aside, and with a Guard a folder
// that somebody else made while the state directory let others in. The error is
// of kind ErrNotStored, ErrUnreadable, ErrDamaged or ErrNotWritten.
func (f *folder) child(name string, create bool) (*folder, error) {
	path := f.At(name)
	info, err := f.Lstat(name)
	if err == nil && !info.IsDir() {
		reason := kind(info) + " lies in the place of a directory"
		if !f.setAside(name, reason) && create {
			return nil, notWritten(path, errors.New(reason+" and could not be set aside; remove it"))
		}
		if !create {
			return nil, damaged(path, &damage{reason: reason})
		}
		err = fs.ErrNotExist
	}
	if err == nil {
		err = f.dir.claim(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, fmt.Errorf("%s: %w", path, ports.ErrNotStored)
		}
		if err := f.Mkdir(name); err != nil {
			return nil, notWritten(path, err)
		}
	} else if errors.Is(err, ports.ErrUnreadable) {
		return nil, err
	} else if err != nil {
		return nil, unreadable(path, err)
	}
	return f.sub(name)
}

// read returns what the file name holds. The error is of kind fs.ErrNotExist
// or ErrUnreadable, or a *damage where there is no file that could be read.
func (f *folder) read(name string) ([]byte, fs.FileInfo, error) {
	info, err := f.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, nil, unreadable(f.At(name), err)
	}
	if !info.Mode().IsRegular() {
		return nil, info, &damage{reason: kind(info) + " lies in the place of a file"}
	}
	if info.Size() > maxFile {
		return nil, info, &damage{reason: fmt.Sprintf("it is larger than %d bytes", maxFile)}
	}
	data := make([]byte, info.Size())
	err = f.Do(durable.OpRead, name, func() error {
		file, err := f.Root().Open(name)
		if err != nil {
			return err
		}
		defer file.Close() // read only: nothing is lost
		n, err := io.ReadFull(file, data)
		data = data[:n]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil // shorter than it was: the checksum will tell
		}
		return err
	})
	if err != nil {
		return nil, nil, unreadable(f.At(name), err)
	}
	return data, info, nil
}

// private fails for a file that others may read or change.
func (f *folder) private(name string, info fs.FileInfo) error {
	if g := f.dir.opts.Guard; g != nil {
		return g.Private(f.At(name))
	}
	return exposed(f.At(name), info)
}

// kind says in words what info is.
func kind(info fs.FileInfo) string {
	switch t := info.Mode().Type(); {
	case t == 0:
		return "a regular file"
	case t.IsDir():
		return "a directory"
	case t&fs.ModeSymlink != 0:
		return "a symbolic link"
	default:
		return "a special file"
	}
}
