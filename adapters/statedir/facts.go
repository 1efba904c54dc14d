package statedir

import (
	"context"
	"errors"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// Facts is what lies in a state directory beside its records.
type Facts struct {
	Exists bool
	// Damaged are the paths of what was set aside because it was not sound.
	Damaged []string
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
	defer top.close()
	facts := Facts{Exists: true}
	if facts.Clones, err = top.matching(clonePrefix); err != nil {
		return Facts{}, unreadable(d.path, err)
	}
	for i, name := range facts.Clones {
		facts.Clones[i] = top.at(name)
	}
	for _, name := range []string{".", credentialsFolder, enrollmentFolder, certsFolder} {
		f, err := top.enter(name)
		if err != nil {
			return Facts{}, err
		}
		if f == nil {
			continue
		}
		names, err := f.names()
		f.close()
		if err != nil {
			return Facts{}, unreadable(f.path, err)
		}
		for _, n := range names {
			if strings.Contains(n, damagedInfix) {
				facts.Damaged = append(facts.Damaged, f.at(n))
			}
		}
	}
	return facts, nil
}
