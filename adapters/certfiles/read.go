package certfiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

var errDirectory = errors.New("it is a directory")

// notAFile is why what lies there is no file of ours, whoever reads it.
type notAFile struct{ reason string }

func (e *notAFile) Error() string { return e.reason }

// look reads one of the files for a report.
func (f *Files) look(k kind) ports.FoundFile {
	data, err := f.read(k.path, k.limit)
	switch {
	case err == nil:
		return ports.FoundFile{Path: k.path, PEM: data}
	case errors.Is(err, fs.ErrNotExist):
		return ports.FoundFile{Path: k.path, Err: ports.FileMissing{}}
	case errors.Is(err, errDirectory):
		return ports.FoundFile{Path: k.path, Err: ports.FileDirectory{}}
	default:
		return ports.FoundFile{Path: k.path, Err: ports.FileUnreadable{Reason: durable.Cause(err).Error()}}
	}
}

// permanent says that trying again does not make a file readable. It is then
// set aside; what may pass, such as a lack of file handles, fails a call.
func permanent(err error) bool {
	return errors.Is(err, errDirectory) || errors.As(err, new(*notAFile)) || errors.Is(err, fs.ErrPermission)
}

func (f *Files) read(path string, limit int64) (data []byte, err error) {
	err = f.disk.Do(durable.OpRead, path, func() error {
		data, err = read(path, limit)
		return err
	})
	return data, err
}

// read looks before it opens: opening a named pipe would wait for a writer.
func read(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		link, linkErr := os.Lstat(path)
		if linkErr == nil && link.Mode()&fs.ModeSymlink != 0 && !errors.Is(err, fs.ErrNotExist) {
			return nil, &notAFile{"it is a symbolic link that cannot be followed: " + durable.Cause(err).Error()}
		}
		return nil, err
	}
	if info.IsDir() {
		return nil, errDirectory
	}
	if !info.Mode().IsRegular() {
		return nil, &notAFile{"it is a special file"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // read only: nothing is lost
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &notAFile{fmt.Sprintf("it is larger than %d bytes", limit)}
	}
	return data, nil
}
