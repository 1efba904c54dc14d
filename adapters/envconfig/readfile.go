package envconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// readOwn reads a regular file that only its owner and the machine's
// administrators should be able to write. If others can, altered says so, and
// data is there all the same. Both are about the file that was opened, whatever
// has happened to its name since.
func (l *loader) readOwn(path string, limit int64) (data []byte, altered, err error) {
	data, err = readRegular(path, limit, func(f *os.File, info fs.FileInfo) {
		if l.unaltered != nil {
			altered = l.unaltered(f)
		} else {
			altered = checkWriters(info)
		}
	})
	return data, altered, err
}

// readRegular reads a regular file of at most limit bytes, after judge, which
// may be nil, has looked at it. It does not block on a FIFO.
func readRegular(path string, limit int64, judge func(*os.File, fs.FileInfo)) (data []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file; name a file")
	}
	if judge != nil {
		judge(f, info)
	}
	if data, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is longer than %d KiB; is it the right file?", limit>>10)
	}
	return data, nil
}
