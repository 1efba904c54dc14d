package certfiles

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/muster-agent/muster/ports"
)

const (
	// damagedInfix and timestamp (in UTC) make the names of what is set aside,
	// and copiesKept is how many of one name stay (docs/SPEC.md, "Files, and
	// what happens when one is lost").
	damagedInfix = ".damaged-"
	timestamp    = "20060102T150405.000000000Z"
	copiesKept   = 3
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
	defer d.close()
	if _, err := d.root.Lstat(c.name()); errors.Is(err, fs.ErrNotExist) {
		return d.sync() // which an earlier call may not have come to
	}
	return d.setAside(c.name(), reason)
}

// setAside renames what lies at name and reports it. The new name is on disk
// when it returns nil.
func (d *folder) setAside(name, reason string) error {
	copies, err := d.matching(name + damagedInfix)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	for _, c := range copies { // names sort as they were given, whatever the clock
		given, err := time.Parse(timestamp, strings.TrimPrefix(c, name+damagedInfix))
		if err == nil && !given.Before(now) {
			now = given.Add(time.Nanosecond)
		}
	}
	aside := name + damagedInfix + now.Format(timestamp)
	if err := d.do(opRename, aside, func() error { return rename(d.root, d.path, name, aside) }); err != nil {
		return err
	}
	for copies = append(copies, aside); len(copies) > copiesKept; copies = copies[1:] {
		_ = d.do(opRemove, copies[0], func() error { return d.root.RemoveAll(copies[0]) }) // or it is at the next damage
	}
	d.files.reports = append(d.files.reports, ports.Recovery{
		File: d.at(name), Action: "set aside", SetAside: d.at(aside), Reason: reason,
	})
	return d.sync()
}
