package certfiles

import (
	"context"
	"slices"
	"strings"

	"github.com/muster-agent/muster/adapters/internal/durable"
)

// Erase implements ports.CertificateFiles. A directory that is not empty stays:
// nobody asked for what is in it.
func (f *Files) Erase(ctx context.Context) (removed []string, err error) {
	end, err := f.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	for _, k := range f.paths.kinds() {
		gone, err := f.erase(change{kind: k})
		removed = append(removed, gone...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// erase removes one of the files and what belongs to it.
func (f *Files) erase(c change) (removed []string, err error) {
	d, err := f.open(c.folder(), false)
	if err != nil {
		return nil, notWritten(c.path, err)
	}
	if d == nil {
		return nil, nil
	}
	defer d.Close()
	names, err := d.Names(c.name())
	if err != nil {
		return nil, notWritten(c.path, err)
	}
	for _, name := range names {
		rest := strings.TrimPrefix(strings.TrimPrefix(name, c.name()), previousSuffix)
		if !slices.Contains([]string{"", durable.NewSuffix}, rest) &&
			!strings.HasPrefix(strings.TrimPrefix(rest, durable.NewSuffix), durable.DamagedInfix) {
			continue
		}
		info, err := d.Root().Lstat(name)
		if err == nil {
			err = d.Remove(name)
		}
		if err != nil && info != nil && info.IsDir() {
			continue
		}
		if err != nil {
			return removed, notWritten(d.At(name), err)
		}
		removed = append(removed, d.At(name))
	}
	if len(removed) == 0 {
		return nil, nil
	}
	if err := d.Sync(); err != nil {
		return removed, notWritten(d.Path(), err)
	}
	return removed, nil
}
