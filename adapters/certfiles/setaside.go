package certfiles

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// SetAside implements ports.CertificateFiles. The new names are on disk when it
// returns nil: what then takes a file's place replaces nothing, whenever the
// power is cut. Of a symbolic link the link is set aside.
func (f *Files) SetAside(ctx context.Context, damaged []ports.DamagedFile) error {
	end, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	for _, k := range f.paths.kinds() {
		i := slices.IndexFunc(damaged, func(d ports.DamagedFile) bool { return d.Path == k.path })
		if i < 0 {
			continue
		}
		if err := f.setAside(change{kind: k}, damaged[i].Reason); err != nil {
			return notWritten(k.path, err)
		}
	}
	return nil
}

func (f *Files) setAside(c change, reason string) error {
	d, err := f.open(c.folder(), false)
	if d == nil {
		return err
	}
	defer d.Close()
	if _, err := d.Root().Lstat(c.name()); errors.Is(err, fs.ErrNotExist) {
		return d.Sync() // which an earlier call may not have come to
	}
	return d.setAside(c.name(), reason)
}

// setAside sets what lies at name aside and reports it. The new name is on disk
// when it returns nil.
func (d *folder) setAside(name, reason string) error {
	aside, err := d.SetAside(name)
	if aside != "" {
		d.files.reports = append(d.files.reports, ports.Recovery{
			File: d.At(name), Action: "set aside", SetAside: d.At(aside), Reason: reason,
		})
	}
	return err
}
