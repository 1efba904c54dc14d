package certfiles

import (
	"errors"
	"io/fs"

	"github.com/muster-agent/muster/adapters/internal/durable"
)

// folder is a directory that certificate files lie in, open.
type folder struct {
	*durable.Folder
	files *Files
}

// open opens the directory at path; with create it is made if absent, else nil
// says that it is.
func (f *Files) open(path string, create bool) (*folder, error) {
	f.disk.Guard = f.Guard
	if create {
		if err := f.disk.MkdirAll(path, f.disk.MkdirGiven); err != nil {
			return nil, err
		}
	}
	opened, err := f.disk.Open(path)
	if !create && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &folder{opened, f}, nil
}

// stage writes and syncs what the file is to become beside it, where nothing of
// an earlier call stays.
func (d *folder) stage(c change) error {
	tmp := c.name() + durable.NewSuffix
	if err := d.clear(tmp, maxCRL); err != nil {
		return err
	}
	if c.remove {
		return d.Remove(tmp)
	}
	return d.Stage(c.name(), durable.Content{Data: c.data, Mode: c.mode})
}

// take makes the file what was staged.
func (d *folder) take(c change) error {
	if err := d.clear(c.name(), c.limit); err != nil {
		return err
	}
	if c.remove {
		return d.Remove(c.name())
	}
	return d.Take(c.name())
}

// clear sets aside what lies at name if it is no file, or one that this process
// may not read.
func (d *folder) clear(name string, limit int64) error {
	if _, err := d.Root().Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := d.files.read(d.At(name), limit)
	if permanent(err) {
		return d.setAside(name, durable.Cause(err).Error())
	}
	if errors.Is(err, fs.ErrNotExist) { // a link to nowhere
		return nil
	}
	return err
}
