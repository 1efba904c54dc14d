package certfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// folder is a directory that certificate files lie in, open. It is reached
// through an os.Root, so that nothing is written through a link in it.
type folder struct {
	files *Files
	root  *os.Root
	path  string
	owner owner // who is given what is made here
}

func (d *folder) close() { _ = d.root.Close() } // a directory handle has nothing to lose

// open opens the directory at path; with create it is made if absent, else nil
// says that it is.
func (f *Files) open(path string, create bool) (*folder, error) {
	if create {
		if err := f.make(path); err != nil {
			return nil, err
		}
	}
	d := &folder{files: f, path: path}
	err := f.disk.do(opOpen, path, func() (err error) {
		d.root, err = os.OpenRoot(path)
		return err
	})
	if !create && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := d.root.Stat(".")
	if err != nil {
		d.close()
		return nil, err
	}
	d.owner = ownerOf(info)
	return d, nil
}

// make makes the directory path and its missing parents, each with mode 0700
// and on disk in its own parent. A directory that it finds may be one that
// another process made and did not live to sync.
func (f *Files) make(path string) error {
	_, err := os.Stat(path)
	if err == nil && f.anchored[path] {
		return nil
	}
	parent := filepath.Dir(path)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := f.make(parent); err != nil {
			return err
		}
		if err := f.disk.do(opMkdir, path, func() error { return f.mkdir(path) }); err != nil {
			return err
		}
	}
	dir, err := os.Open(parent)
	if err != nil {
		return nil // a parent that may be searched but not read cannot be synced
	}
	defer dir.Close() // read only: nothing is lost
	err = f.disk.do(opSyncDir, parent, func() error { return syncDir(dir) })
	f.anchored[path] = err == nil
	return err
}

func (f *Files) mkdir(path string) error {
	if f.Guard != nil {
		return f.Guard.Mkdir(path)
	}
	err := os.Mkdir(path, 0o700)
	if err != nil {
		return err
	}
	if err = giveAsParent(path); err != nil {
		_ = os.Remove(path) // so that the next call makes and gives it away again
	}
	return err
}

func (d *folder) at(name string) string { return filepath.Join(d.path, name) }

func (d *folder) do(op op, name string, call func() error) error {
	return d.files.disk.do(op, d.at(name), call)
}

// stage removes what an earlier call left beside the file, and writes and syncs
// there what the file is to become.
func (d *folder) stage(c change) error {
	tmp := c.name() + newSuffix
	if err := d.clear(tmp, maxCRL); err != nil {
		return err
	}
	if err := d.remove(tmp); err != nil || c.remove {
		return err
	}
	var file *os.File
	err := d.do(opCreate, tmp, func() (err error) {
		if d.files.Guard != nil && c.mode == keyMode {
			file, err = d.files.Guard.Create(d.at(tmp))
			return err
		}
		file, err = d.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, keyMode)
		return err
	})
	if err != nil {
		return err
	}
	err = d.owner.take(file)
	if err == nil && c.mode != keyMode {
		err = file.Chmod(c.mode) // whatever the umask
	}
	if err == nil {
		err = d.do(opWrite, tmp, func() error {
			_, err := file.Write(c.data)
			return err
		})
	}
	if err == nil {
		err = d.do(opSync, tmp, file.Sync)
	}
	return errors.Join(err, file.Close())
}

// take makes the file what was staged.
func (d *folder) take(c change) error {
	name := c.name()
	if err := d.clear(name, c.limit); err != nil {
		return err
	}
	if c.remove {
		return d.remove(name)
	}
	return d.do(opRename, name, func() error { return rename(d.root, d.path, name+newSuffix, name) })
}

// clear sets aside what lies at name if it is no file, or one that this process
// may not read.
func (d *folder) clear(name string, limit int64) error {
	if _, err := d.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := d.files.read(d.at(name), limit)
	if hopeless(err) {
		return d.setAside(name, cause(err).Error())
	}
	if errors.Is(err, fs.ErrNotExist) { // a link to nowhere
		return nil
	}
	return err
}

// matching lists the names that begin with prefix, sorted.
func (d *folder) matching(prefix string) ([]string, error) {
	dir, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close() // read only: nothing is lost
	names, err := dir.Readdirnames(-1)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) })
	slices.Sort(names)
	return names, err
}

// remove removes the file or link name; nothing there is no error.
func (d *folder) remove(name string) error {
	err := d.do(opRemove, name, func() error { return d.root.Remove(name) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sync makes the names in the folder durable.
func (d *folder) sync() error {
	return d.do(opSyncDir, ".", func() error {
		dir, err := d.root.Open(".")
		if err != nil {
			return err
		}
		defer dir.Close() // read only: nothing is lost
		return syncDir(dir)
	})
}
