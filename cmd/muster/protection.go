package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/muster-agent/muster/ports"
)

// claim sees to it, where modes do not, that nobody but administrators reaches
// a directory, before anything is read from it. What was done about one that
// others made or reached is told. The wrong account gets an error before
// anything else is done.
func claim(guard ports.Guard, dir string, readOnly bool, told func(ports.Recovery)) error {
	if guard == nil {
		return nil
	}
	done, err := guard.Claim(dir, readOnly)
	if done.File != "" {
		told(done)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// claimTries is how often a directory is looked at that somebody else makes
// whenever it was put aside.
const claimTries = 5

// claimOrMake is claim for a directory that is about to be written to: where
// nothing lies it is made. What somebody made in between is looked at as well.
func claimOrMake(guard ports.Guard, dir string, told func(ports.Recovery)) error {
	for try := 1; ; try++ {
		done, err := guard.Claim(dir, false)
		if done.File != "" {
			told(done)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := guard.Mkdir(dir); !errors.Is(err, fs.ErrExist) || try == claimTries {
			return err
		}
	}
}

// claimState is claim for a state directory, and for the one in it that the
// store leaves to the certificates: where others could write, they may have made
// it. The state directory is made unless it is only read: where this account
// may not, it is the wrong one. What else keeps it from being made may pass, and
// the store says so whenever it needs it.
func claimState(guard ports.Guard, dir string, readOnly bool, told func(ports.Recovery)) error {
	var err error
	if guard == nil || readOnly {
		err = claim(guard, dir, readOnly, told)
	} else {
		err = claimOrMake(guard, dir, told)
	}
	switch {
	case errors.Is(err, ports.ErrUnreadable):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run as the SYSTEM service (muster service install), or from an administrator's prompt", err)
	case err != nil:
		return nil
	}
	return claim(guard, filepath.Join(dir, "certs"), readOnly, told)
}

// warnOf tells of a recovery before there is a log.
func (p *program) warnOf(r ports.Recovery) {
	line := fmt.Sprintf("muster: warning: %s was %s: %s", r.File, r.Action, r.Reason)
	if r.SetAside != "" {
		line += "; it lies at " + r.SetAside + " now and nothing in it is read"
	}
	_, _ = fmt.Fprintln(p.stderr, line)
}
