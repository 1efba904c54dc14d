package durable

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// DamagedInfix stands between the name of what was set aside and the time.
	DamagedInfix = ".damaged-"
	// timestamp of everything that is set aside, in UTC. It sorts by time and is
	// a legal file name everywhere.
	timestamp = "20060102T150405.000000000Z"
	// copiesKept is how many of one name are kept (docs/SPEC.md, "Files, and what
	// happens when one is lost").
	copiesKept = 3
)

// SetAside renames what lies at name, whatever it is, to
// name.damaged-<20060102T150405.000000000Z>, of which the newest three stay. The
// new name is on disk when err is nil. aside is empty if it still lies where it
// lay.
func (f *Folder) SetAside(name string) (aside string, err error) {
	to, err := f.FreeName(name+DamagedInfix, "")
	if err == nil {
		err = f.Rename(name, to)
	}
	if err != nil {
		return "", err
	}
	f.Prune(name + DamagedInfix)
	return to, f.Sync()
}

// SetAside is Folder.SetAside for what lies at path.
func (d *Disk) SetAside(path string) (aside string, err error) {
	f, err := d.Open(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	defer f.Close()
	return f.SetAside(filepath.Base(path))
}

// FreeName returns a name of the present time between prefix and suffix, or,
// where one bears that time or a later one (a clock may have been ahead), of the
// moment after it: names sort as they were given.
func (f *Folder) FreeName(prefix, suffix string) (string, error) {
	names, err := f.Names(prefix)
	now := time.Now().UTC()
	if f.disk.Now != nil {
		now = f.disk.Now().UTC()
	}
	for _, name := range names {
		at := strings.TrimPrefix(strings.TrimSuffix(name, suffix), prefix)
		if given, err := time.Parse(timestamp, at); err == nil && !given.Before(now) {
			now = given.Add(time.Nanosecond)
		}
	}
	at := func() string { return prefix + now.Format(timestamp) + suffix }
	for slices.Contains(names, at()) { // a year of five digits, which is not read as a time
		now = now.Add(time.Nanosecond)
	}
	return at(), err
}

// Prune removes all but the newest three names that begin with prefix. What
// cannot be removed or listed now is at the next time.
func (f *Folder) Prune(prefix string) {
	copies, _ := f.Names(prefix)
	for len(copies) > copiesKept {
		_ = f.RemoveAll(copies[0])
		copies = copies[1:]
	}
}
