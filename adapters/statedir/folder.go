package statedir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// maxFile bounds what is read of one file: the largest answer that is kept, a
// certificate bundle (16 MiB: docs/PROTOCOLS.md, "Rules for every request"),
// and its envelope.
const maxFile = 32 << 20

// folder is one directory of the state directory, open. It is reached through
// an os.Root, so that no symbolic link in it leads out of the state directory,
// even for a command that root runs on another user's directory.
type folder struct {
	dir   *Dir
	root  *os.Root
	path  string
	owner owner // who is given what is made here
}

func (f *folder) close() { _ = f.root.Close() } // a directory handle has nothing to lose

// sub opens a folder in this one. The error is of kind ErrUnreadable.
func (f *folder) sub(name string) (*folder, error) {
	sub := &folder{dir: f.dir, path: f.at(name), owner: f.owner}
	err := f.do(opOpen, name, func() (err error) {
		sub.root, err = f.root.OpenRoot(name)
		return err
	})
	if err != nil {
		return nil, unreadable(sub.path, err)
	}
	return sub, nil
}

// child is sub for a folder that may be missing; with create it is made then.
// What lies in its place and is no folder is set aside, and with a Guard a folder
// that somebody else made while the state directory let others in. The error is
// of kind ErrNotStored, ErrUnreadable, ErrDamaged or ErrNotWritten.
func (f *folder) child(name string, create bool) (*folder, error) {
	path := f.at(name)
	info, err := f.lstat(name)
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
		if err := f.mkdir(name); err != nil {
			return nil, notWritten(path, err)
		}
	} else if errors.Is(err, ports.ErrUnreadable) {
		return nil, err
	} else if err != nil {
		return nil, unreadable(path, err)
	}
	return f.sub(name)
}

func (f *folder) at(name string) string { return filepath.Join(f.path, name) }

func (f *folder) do(op op, name string, call func() error) error {
	return f.dir.disk.do(op, f.at(name), call)
}

func (f *folder) lstat(name string) (info fs.FileInfo, err error) {
	err = f.do(opStat, name, func() error {
		info, err = f.root.Lstat(name)
		return err
	})
	return info, err
}

// read returns what the file name holds. The error is of kind fs.ErrNotExist
// or ErrUnreadable, or a *damage where there is no file that could be read.
func (f *folder) read(name string) ([]byte, fs.FileInfo, error) {
	info, err := f.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, nil, unreadable(f.at(name), err)
	}
	if !info.Mode().IsRegular() {
		return nil, info, &damage{reason: kind(info) + " lies in the place of a file"}
	}
	if info.Size() > maxFile {
		return nil, info, &damage{reason: fmt.Sprintf("it is larger than %d bytes", maxFile)}
	}
	data := make([]byte, info.Size())
	err = f.do(opRead, name, func() error {
		file, err := f.root.Open(name)
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
		return nil, nil, unreadable(f.at(name), err)
	}
	return data, info, nil
}

// names lists the folder, sorted.
func (f *folder) names() (names []string, err error) {
	err = f.do(opRead, ".", func() error {
		dir, err := f.root.Open(".")
		if err != nil {
			return err
		}
		defer dir.Close() // read only: nothing is lost
		names, err = dir.Readdirnames(-1)
		return err
	})
	slices.Sort(names)
	return names, err
}

// matching lists the names that begin with one of the prefixes, sorted.
func (f *folder) matching(prefixes ...string) ([]string, error) {
	names, err := f.names()
	return slices.DeleteFunc(names, func(name string) bool {
		return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}), err
}

// mkdir makes a directory with mode 0700.
func (f *folder) mkdir(name string) error {
	return f.do(opMkdir, name, func() error {
		if err := f.makeOne(name); err != nil {
			return err
		}
		delete(f.dir.synced, f.path)
		err := f.owner.takeDir(f.root, name)
		if err != nil {
			_ = f.root.Remove(name) // so that the next call makes and gives it away again
		}
		return err
	})
}

func (f *folder) makeOne(name string) error {
	if g := f.dir.opts.Guard; g != nil {
		return g.Mkdir(f.at(name))
	}
	return f.root.Mkdir(name, 0o700)
}

func (f *folder) rename(from, to string) error {
	return f.do(opRename, to, func() error { return rename(f.root, f.path, from, to) })
}

// private fails for a file that others may read or change.
func (f *folder) private(name string, info fs.FileInfo) error {
	if g := f.dir.opts.Guard; g != nil {
		return g.Private(f.at(name))
	}
	return exposed(f.at(name), info)
}

// remove removes name and everything in it; nothing there is no error.
func (f *folder) remove(name string) error {
	return f.do(opRemove, name, func() error { return f.root.RemoveAll(name) })
}

// sync makes the names in the folder durable.
func (f *folder) sync() error {
	err := f.do(opSyncDir, ".", func() error {
		dir, err := f.root.Open(".")
		if err != nil {
			return err
		}
		defer dir.Close() // read only: nothing is lost
		return syncDir(dir)
	})
	if err == nil {
		f.dir.synced[f.path] = true
	}
	return err
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
