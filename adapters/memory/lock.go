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
type Lock struct{ place *Disk }

// OpenLock is the lock of p. The holder's process id is this process's.
func OpenLock(p *Disk) *Lock { return &Lock{p} }

// TryLock implements ports.ProcessLock.
func (l *Lock) TryLock(ctx context.Context, command string) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := l.place
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults.TryLock != nil {
		return nil, p.faults.TryLock
	}
	if p.holder != nil {
		holder := *p.holder
		return nil, &holder
	}
	p.holder = &ports.LockedError{PID: os.Getpid(), Command: command}
	return sync.OnceValue(func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.holder = nil
		return nil
	}), nil
}

// Holder implements ports.ProcessLock.
func (l *Lock) Holder(ctx context.Context) (ports.LockedError, error) {
	if err := ctx.Err(); err != nil {
		return ports.LockedError{}, err
	}
	l.place.mu.Lock()
	defer l.place.mu.Unlock()
	if l.place.holder == nil {
		return ports.LockedError{}, fmt.Errorf("holder of the lock in memory: %w", ports.ErrNotStored)
	}
	return *l.place.holder, nil
}
