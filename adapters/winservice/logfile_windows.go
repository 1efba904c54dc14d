package winservice

import (
	"errors"
	"os"
	"runtime/debug"
	"sync"
)

// LogFile is the log of a service, an io.Writer. A file at its limit is renamed to
// Path+".1", in place of the one before, and a new one begins: the two take no
// more than twice the limit. A line that cannot be written is lost; the next one
// is tried again. The report of a crash is written there too.
type LogFile struct {
	Path  string
	Limit int64 // in bytes
	// Prepare makes the directory; it is called before the file is opened.
	Prepare func() error

	mu   sync.Mutex
	file *os.File
	size int64
}

// Write implements io.Writer.
func (l *LogFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	if l.size > 0 && l.size+int64(len(line)) > l.Limit {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return n, err
}

// Close closes the file; the next Write opens it again.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close()
}

func (l *LogFile) open() error {
	if err := l.Prepare(); err != nil {
		return err
	}
	file, err := os.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	_ = debug.SetCrashOutput(file, debug.CrashOptions{}) // without it a crash is silent, and all else goes on
	return nil
}

func (l *LogFile) close() error {
	if l.file == nil {
		return nil
	}
	_ = debug.SetCrashOutput(nil, debug.CrashOptions{}) // which holds the file open
	err := l.file.Close()
	l.file = nil
	return err
}

// rotate begins a new file. Where the old one cannot be renamed, because
// somebody has it open, it is emptied: a full disk would be worse.
func (l *LogFile) rotate() error {
	if err := l.close(); err != nil {
		return err
	}
	if os.Rename(l.Path, l.Path+".1") != nil {
		if err := os.Truncate(l.Path, 0); err != nil {
			return err
		}
	}
	return l.open()
}
