package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folder is a directory, open. It is reached through an os.Root, so that no
// symbolic link in it leads out of it, even for a command that root runs on
// another user's directory. What root makes in a folder that another user owns
// is that user's.
//
// An error is that of package os; its path may be relative to the folder.
type Folder struct {
	disk  *Disk
	root  *os.Root
	path  string
	owner owner // who is given what is made here
}

// Open opens the directory path, which Close closes.
func (d *Disk) Open(path string) (*Folder, error) {
	f := &Folder{disk: d, path: path}
	err := d.Do(OpOpen, path, func() (err error) {
		f.root, err = os.OpenRoot(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	info, err := f.root.Stat(".")
	if err != nil {
		f.Close()
		return nil, err
	}
	f.owner = ownerOf(info)
	return f, nil
}

// Sub opens a directory in this one. What is made there has the owner that it
// would have here.
func (f *Folder) Sub(name string) (*Folder, error) {
	sub := &Folder{disk: f.disk, path: f.At(name), owner: f.owner}
	err := f.Do(OpOpen, name, func() (err error) {
		sub.root, err = f.root.OpenRoot(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sub, nil
}

// Close closes the folder. There is nothing that it could lose.
func (f *Folder) Close() { _ = f.root.Close() }

// Path is the folder's path.
func (f *Folder) Path() string { return f.path }

// At is the path of what is called name in the folder.
func (f *Folder) At(name string) string { return filepath.Join(f.path, name) }

// Root is for reading.
func (f *Folder) Root() *os.Root { return f.root }

// Do makes a call about name that the package has no method for.
func (f *Folder) Do(op Op, name string, call func() error) error {
	return f.disk.Do(op, f.At(name), call)
}

// Lstat looks at name, and does not follow a link.
func (f *Folder) Lstat(name string) (info fs.FileInfo, err error) {
	err = f.Do(OpStat, name, func() error {
		info, err = f.root.Lstat(name)
		return err
	})
	return info, err
}

// Names lists the names in the folder that begin with prefix, sorted.
func (f *Folder) Names(prefix string) (names []string, err error) {
	err = f.Do(OpRead, ".", func() error {
		dir, err := f.root.Open(".")
		if err != nil {
			return err
		}
		defer dir.Close() // read only: nothing is lost
		names, err = dir.Readdirnames(-1)
		return err
	})
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) })
	slices.Sort(names)
	return names, err
}

// Mkdir makes a directory with mode 0700. Its name is not yet on disk.
func (f *Folder) Mkdir(name string) error {
	return f.Do(OpMkdir, name, func() error {
		if err := f.mkdir(name); err != nil {
			return err
		}
		f.disk.made(f.path, f.At(name))
		err := f.owner.takeDir(f.root, name)
		if err != nil {
			_ = remove(f.root, f.path, name) // so that the next call makes and gives it away again
		}
		return err
	})
}

func (f *Folder) mkdir(name string) error {
	if g := f.disk.Guard; g != nil {
		return g.Mkdir(f.At(name))
	}
	return f.root.Mkdir(name, 0o700)
}

// Rename gives what is called from, here or in a folder below, another name,
// which Sync makes durable. A file of that name is replaced.
func (f *Folder) Rename(from, to string) error {
	return f.Do(OpRename, to, func() error { return rename(f.root, f.path, from, to) })
}

// Remove removes a file, a link or an empty directory; nothing there is no
// error.
func (f *Folder) Remove(name string) error {
	err := f.Do(OpRemove, name, func() error { return remove(f.root, f.path, name) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// RemoveAll removes name and everything in it; nothing there is no error.
func (f *Folder) RemoveAll(name string) error {
	return f.Do(OpRemove, name, func() error { return f.root.RemoveAll(name) })
}

// Sync makes the names in the folder durable. Where the system has no such call
// it does nothing.
func (f *Folder) Sync() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close() // read only: nothing is lost
	return f.disk.sync(f.path, dir)
}

// Synced reports whether the folder was synced since this process last made a
// directory in it.
func (f *Folder) Synced() bool { return f.disk.synced[f.path] }
