package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/muster-agent/muster/ports"
)

// damage is what is wrong with a file that is not sound.
type damage struct {
	reason string
	kind   error // ports.ErrUnprotectable, or nil
}

func (e *damage) Error() string { return e.reason }

func (e *damage) Unwrap() error { return e.kind }

func damaged(path string, bad *damage) error {
	return fmt.Errorf("%s is %w: %w", path, ports.ErrDamaged, bad)
}

func notWritten(path string, err error) error {
	return fmt.Errorf("%s %w: %w%s", path, ports.ErrNotWritten, cause(err), writeAdvice(err))
}

func unreadable(path string, err error) error {
	return fmt.Errorf("%s %w: %w%s", path, ports.ErrUnreadable, cause(err), readAdvice(path, err))
}

// cause strips what the errors of package os add: the path, relative here and
// already named, and the system call.
func cause(err error) error {
	for {
		var path *fs.PathError
		var link *os.LinkError
		var call *os.SyscallError
		switch {
		case errors.As(err, &path):
			err = path.Err
		case errors.As(err, &link):
			err = link.Err
		case errors.As(err, &call):
			err = call.Err
		default:
			return err
		}
	}
}

func notErased(path string, err error) error {
	return fmt.Errorf("%s was not removed: its directory %w: %w%s", path, ports.ErrNotWritten, cause(err), writeAdvice(err))
}
