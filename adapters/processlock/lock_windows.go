package processlock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

const noFollow = 0

// whoMay says what to do about a lack of rights.
const whoMay = "run as the SYSTEM service (muster service install), or from an administrator's prompt"

// openDir returns nothing: Windows does not lock directories.
func openDir(path string) (*os.File, error) {
	_, err := os.Stat(path)
	return nil, err
}

// lockOffset is the one byte that is locked. It lies far behind the content, so
// that others can still read that.
const lockOffset = 0x7fffffff

func region() *windows.Overlapped { return &windows.Overlapped{OffsetHigh: lockOffset} }

// tryLock locks the file, exclusively or shared. It returns false if another handle
// holds the lock.
func tryLock(f *os.File, exclusive bool) (bool, error) {
	var flags uint32 = windows.LOCKFILE_FAIL_IMMEDIATELY
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, region())
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}

func release(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, region())
}
