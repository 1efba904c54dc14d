package certfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/muster-agent/muster/ports"
)

func notWritten(path string, err error) error {
	return fmt.Errorf("%s %w: %w%s", path, ports.ErrNotWritten, cause(err), advice(err))
}

// cause strips what the errors of package os add: the path, named already, and
// the system call.
func cause(err error) error {
	for {
		var path *fs.PathError
		var link *os.LinkError
		switch {
		case errors.As(err, &path):
			err = path.Err
		case errors.As(err, &link):
			err = link.Err
		default:
			return err
		}
	}
}
