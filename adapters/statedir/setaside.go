package statedir

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// setAside renames what is not sound and reports it; false if it still lies
// where it lay.
func (f *folder) setAside(name, reason string) bool {
	d := f.dir
	if d.opts.ReadOnly {
		return false
	}
	aside, _ := f.SetAside(name) // if the rename is lost, it is damaged and set aside again
	if aside == "" {
		if path := f.At(name); !d.ignored[path] {
			d.ignored[path] = true
			d.report(ports.Recovery{File: path, Action: "ignored", Reason: reason})
		}
		return false
	}
	d.report(ports.Recovery{File: f.At(name), Action: "set aside", SetAside: f.At(aside), Reason: reason})
	return true
}

// SetAside moves what is stored into a new directory cloned-<time> of the state
// directory; what is not the store's stays. Nothing stored is no error, and where is then empty. An error is of kind
// ErrNotWritten or ErrUnreadable.
//
// The credential's record goes last but one and the identity last: both say
// whose state this is, so whatever the moment of a crash, as long as anything
// is left to move the next start still sees that it is another machine's. What
// is left then goes into another directory.
func (d *Dir) SetAside(ctx context.Context) (where string, err error) {
	end, err := d.beginWrite(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	top, err := d.top(false)
	if errors.Is(err, ports.ErrNotStored) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer top.Close()
	// What an interrupted replacement left of the identity gets its name, what
	// is damaged loses it: then the file of that name is what says whose state
	// this is. Any other answer does not keep it from being moved.
	_, _ = d.identity.load()

	names, err := top.Names("")
	if err != nil {
		return "", unreadable(d.path, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return moveRank(name) < 0 })
	if len(names) == 0 {
		return "", nil
	}
	slices.SortStableFunc(names, func(a, b string) int { return moveRank(a) - moveRank(b) })

	name, err := top.FreeName(clonePrefix, "")
	if err == nil {
		err = top.Mkdir(name)
	}
	if err == nil {
		err = top.Sync()
	}
	if err != nil {
		return "", notWritten(d.path, err)
	}
	where = top.At(name)
	aside, err := d.folder(name, false)
	if err != nil {
		return where, err
	}
	defer aside.Close()
	d.credential.reserved, d.bundle.reserved = false, false
	for i, n := range names {
		if err := top.Rename(n, filepath.Join(name, n)); err != nil {
			return where, notWritten(top.At(n), err)
		}
		// Each rank is on disk before the next one moves.
		if i+1 < len(names) && moveRank(n) == moveRank(names[i+1]) {
			continue
		}
		if err := errors.Join(aside.Sync(), top.Sync()); err != nil {
			return where, notWritten(where, err)
		}
	}
	return where, nil
}

// Newer implements ports.StateDirectory.
func (d *Dir) Newer(ctx context.Context) error {
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	_, identity := d.identity.load()
	_, credential := d.credential.load()
	_, retries := d.retries.load()
	_, pending := d.pending.load()
	_, bundle := d.bundle.load()
	for _, err := range []error{identity, credential, retries, pending, bundle} {
		if errors.Is(err, ports.ErrNewerFormat) {
			return err
		}
	}
	return nil
}

// moveRank orders what SetAside moves; negative for what stays: whatever is not
// the store's. On Windows the configuration, what it names (a CA, a key) and
// the logs lie in the same directory, and a copy needs them.
func moveRank(name string) int {
	for rank, of := range [][]string{{enrollmentFolder, certsFolder}, {credentialsFolder}, {identityFile}} {
		for _, stored := range of {
			if name == stored {
				return rank
			}
			if strings.HasPrefix(name, stored+".") { // on its way, or set aside
				return 0
			}
		}
	}
	return -1
}
