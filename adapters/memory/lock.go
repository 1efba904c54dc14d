package memory

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/muster-agent/muster/ports"
)

// Lock is a process's view of a Disk's lock. It implements
// ports.ProcessLock.
type Lock struct{ disk *Disk }

// OpenLock is the lock of d. The holder's process id is this process's.
func OpenLock(d *Disk) *Lock { return &Lock{d} }

// TryLock implements ports.ProcessLock.
func (l *Lock) TryLock(ctx context.Context, command string) (unlock func() error, err error) {
	d := l.disk
	err = d.call(ctx, func(f Faults) error { return f.TryLock }, func() error {
		if d.holder != nil {
			return new(*d.holder)
		}
		d.holder = &ports.LockedError{PID: os.Getpid(), Command: command}
		unlock = sync.OnceValue(func() error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.holder = nil
			return nil
		})
		return nil
	})
	return unlock, err
}

// Holder implements ports.ProcessLock.
func (l *Lock) Holder(ctx context.Context) (holder ports.LockedError, err error) {
	err = l.disk.call(ctx, func(Faults) error { return nil }, func() error {
		if l.disk.holder == nil {
			return fmt.Errorf("holder of the lock in memory: %w", ports.ErrNotStored)
		}
		holder = *l.disk.holder
		return nil
	})
	return holder, err
}
