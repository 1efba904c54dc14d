package statedir

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// remove removes the record and what lies in the way of its replacement, and
// leaves what was set aside. Nothing there is no error. What may not be written
// over may not be removed either; the error is that of save.
func (r *recordFile) remove() error {
	f, err := r.dir.folder(r.folder, false)
	if ports.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := r.clear(f); err != nil {
		return err
	}
	r.reserved = false
	return f.eraseNames(r.name, r.name+durable.NewSuffix)
}

// enter opens a folder in this one; nil without an error if there is none.
func (f *folder) enter(name string) (*folder, error) {
	info, err := f.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(f.At(name), err)
	}
	return f.sub(name)
}

// eraseNames removes what bears one of the names, and syncs.
func (f *folder) eraseNames(exact ...string) error {
	names, err := f.Names("")
	if err != nil {
		return unreadable(f.Path(), err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(exact, name) })
	for _, name := range names {
		if err := f.RemoveAll(name); err != nil {
			return notErased(f.At(name), err)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := f.Sync(); err != nil {
		return notErased(f.Path(), err)
	}
	return nil
}

// RemoveEnrollment implements ports.StateDirectory. The lock stays too.
func (d *Dir) RemoveEnrollment(ctx context.Context) (removed []string, err error) {
	end, err := d.beginWrite(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	top, err := d.top(false)
	if errors.Is(err, ports.ErrNotStored) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer top.Close()
	d.credential.reserved, d.bundle.reserved = false, false

	names, err := top.Names("")
	if err != nil {
		return nil, unreadable(d.path, err)
	}
	for _, name := range names {
		if !enrolled(name) {
			continue
		}
		files := top.files(name)
		if err := top.RemoveAll(name); err != nil {
			return removed, notErased(top.At(name), err)
		}
		removed = append(removed, files...)
	}
	if removed == nil {
		return nil, nil
	}
	if err := top.Sync(); err != nil {
		return removed, notErased(d.path, err)
	}
	return removed, nil
}

// enrolled reports whether name came from an enrollment.
func enrolled(name string) bool {
	original, _, _ := strings.Cut(name, durable.DamagedInfix)
	return slices.Contains([]string{credentialsFolder, enrollmentFolder, certsFolder}, original) ||
		strings.HasPrefix(name, clonePrefix)
}

// files lists everything below name that is no directory.
func (f *folder) files(name string) (paths []string) {
	_ = fs.WalkDir(f.Root().FS(), name, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, f.At(filepath.FromSlash(path)))
		}
		return nil // what cannot be listed is removed unnamed
	})
	return paths
}
