package certfiles

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/muster-agent/muster/adapters/internal/durable"
)

// change is what a file is to become.
type change struct {
	kind
	data   []byte
	remove bool // in data's place
}

func (c change) folder() string { return filepath.Dir(c.path) }
func (c change) name() string   { return filepath.Base(c.path) }

// apply makes the changes, one file after the other in their order, each
// atomically. Everything new is on disk beside the files before the first of
// them is touched; the names are on disk when it returns nil. A crash or an
// error, of kind ErrNotWritten, leaves a mixture of old and new files. What an
// earlier call left beside them is removed.
func (f *Files) apply(changes []change) error {
	folders := map[string]*folder{}
	defer func() {
		for _, d := range folders {
			d.Close()
		}
	}()
	for _, c := range changes {
		if folders[c.folder()] != nil {
			continue
		}
		d, err := f.open(c.folder(), !c.remove)
		if err != nil {
			return notWritten(c.path, err)
		}
		if d != nil { // from a folder that is missing nothing is to be removed
			folders[c.folder()] = d
		}
	}
	for _, step := range []func(*folder, change) error{(*folder).stage, (*folder).take} {
		for _, c := range changes {
			d := folders[c.folder()]
			if d == nil {
				continue
			}
			if err := step(d, c); err != nil {
				discard(folders, changes)
				return notWritten(c.path, err)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(folders)) {
		if err := folders[path].Sync(); err != nil {
			return notWritten(path, err)
		}
	}
	return nil
}

// discard removes what was staged. Where it cannot, the next call does.
func discard(folders map[string]*folder, changes []change) {
	for _, c := range changes {
		if d := folders[c.folder()]; d != nil {
			_ = d.Remove(c.name() + durable.NewSuffix)
		}
	}
}
