package statedir

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// Facts is what lies in a state directory beside its records.
type Facts struct {
	Exists bool
	// Damaged are the paths of what was set aside because it was not sound.
	Damaged []string
	// Rejected are the bundles that did not validate, the oldest first.
	Rejected []string
	// Clones are the directories that hold an original's state, the oldest
	// first.
	Clones []string
}

// Facts looks into the directory and changes nothing. An error is of kind
// ErrUnreadable.
func (d *Dir) Facts(ctx context.Context) (Facts, error) {
	end, err := d.begin(ctx)
	if err != nil {
		return Facts{}, err
	}
	defer end()
	top, err := d.top(false)
	if errors.Is(err, ports.ErrNotStored) {
		return Facts{}, nil
	}
	if err != nil {
		return Facts{}, err
	}
	defer top.Close()
	facts := Facts{Exists: true}
	if facts.Clones, err = top.Names(clonePrefix); err != nil {
		return Facts{}, unreadable(d.path, err)
	}
	for i, name := range facts.Clones {
		facts.Clones[i] = top.At(name)
	}
	rejected, err := top.list(filepath.Join(enrollmentFolder, rejectedFolder))
	if err != nil {
		return Facts{}, err
	}
	for _, name := range rejected {
		facts.Rejected = append(facts.Rejected, filepath.Join(d.path, filepath.Join(enrollmentFolder, rejectedFolder), name))
	}
	for _, name := range []string{".", credentialsFolder, enrollmentFolder, certsFolder} {
		names, err := top.list(name)
		if err != nil {
			return Facts{}, err
		}
		for _, n := range names {
			if strings.Contains(n, durable.DamagedInfix) {
				facts.Damaged = append(facts.Damaged, filepath.Join(d.path, name, n))
			}
		}
	}
	return facts, nil
}

// list lists the folder called name in this one; nothing if there is none.
func (f *folder) list(name string) ([]string, error) {
	sub, err := f.enter(name)
	if err != nil || sub == nil {
		return nil, err
	}
	defer sub.Close()
	names, err := sub.Names("")
	if err != nil {
		return nil, unreadable(sub.Path(), err)
	}
	return names, nil
}
