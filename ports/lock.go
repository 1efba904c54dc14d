package ports

import (
	"context"
	"errors"
	"fmt"
)

// ErrLocked is the kind of every *LockedError.
var ErrLocked = errors.New("another muster process holds the state directory")

// LockedError names the process that holds the lock.
type LockedError struct {
	PID     int    // 0 if it could not be found
	Command string // its command, "run" or "enroll"; empty if it could not be found
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return ErrLocked.Error()
	}
	return fmt.Sprintf("%v: process %d (muster %s)", ErrLocked, e.PID, e.Command)
}

// Is reports that target is ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// ProcessLock lets one process at a time use a state directory. The lock goes
// with the process: a crash, SIGKILL or power cut leaves none behind.
type ProcessLock interface {
	// TryLock takes the lock in the name of command, or fails at once with a
	// *LockedError. A directory that cannot be written can still be locked.
	TryLock(ctx context.Context, command string) (unlock func() error, err error)
	// Holder names the process that holds the lock; ErrNotStored if none does.
	Holder(ctx context.Context) (LockedError, error)
}
