package envconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// readRegular reads a regular file of at most limit bytes. What it returns
// about the file is of the file that was read, whatever has happened to the
// name since. It does not block on a FIFO.
func readRegular(path string, limit int64) (data []byte, info fs.FileInfo, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("it is not a regular file; name a file")
	}
	if data, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit {
		return nil, nil, fmt.Errorf("it is longer than %d KiB; is it the right file?", limit>>10)
	}
	return data, info, nil
}
