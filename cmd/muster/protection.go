package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/muster-agent/muster/adapters/processlock"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/ports"
)

// storeOptions open a state directory with what this system has to protect it.
func storeOptions(readOnly bool) statedir.Options {
	protector, guard := protection()
	return statedir.Options{ReadOnly: readOnly, Version: version, Now: time.Now, Protector: protector, Guard: guard}
}

// processLock is the lock of a state directory, which it makes as the store
// would.
func processLock(dir string) *processlock.Lock {
	lock := processlock.New(dir)
	if _, guard := protection(); guard != nil {
		lock.Mkdir = guard.Mkdir
	}
	return lock
}

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

// warnOf tells of a recovery before there is a log.
func (p *program) warnOf(r ports.Recovery) {
	line := fmt.Sprintf("muster: warning: %s was %s: %s", r.File, r.Action, r.Reason)
	if r.SetAside != "" {
		line += "; it lies at " + r.SetAside + " now and nothing in it is read"
	}
	_, _ = fmt.Fprintln(p.stderr, line)
}
