// Package processlock lets one process at a time use a state directory, by the
// operating system's own locks: they go with the process, however it ends.
package processlock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

const (
	fileName = "agent.lock"
	// maxContent bounds what is read of the lock file: a process id and a
	// command of a few letters.
	maxContent = 128
	// probeTime is the wait between two looks at something that another process
	// is about to finish: Holder's own lock, which it keeps for two system
	// calls, or the holder's writing of its name.
	probeTime = time.Millisecond
	// lockProbes and nameProbes bound such waits: to 3 s for a lock, which
	// Holder may keep for so long on a busy machine, and to 0.1 s for a name.
	lockProbes, nameProbes = 3000, 100
)

// Lock is the lock of a state directory. It implements ports.ProcessLock.
//
// Where the platform allows it, the directory itself is locked besides the file
// agent.lock in it. So a directory in which no file can be made (read-only or
// full) is locked too. The file names the holder for people and for LockedError:
// "<process id> <command>\n".
type Lock struct {
	// Mkdir makes the state directory where it is absent; nil makes it with mode
	// 0700. It is set before the first call.
	Mkdir func(path string) error

	dir string
}

// New returns the lock of the state directory dir. It changes nothing.
func New(dir string) *Lock { return &Lock{dir: dir} }

func (l *Lock) path() string { return filepath.Join(l.dir, fileName) }

// makeDir makes the state directory, or one of its parents.
func (l *Lock) makeDir(path string) error {
	switch {
	case path != l.dir:
		return os.Mkdir(path, 0o755)
	case l.Mkdir != nil:
		return l.Mkdir(path)
	}
	return os.Mkdir(path, 0o700)
}

// TryLock implements ports.ProcessLock. It makes a directory that is absent, with
// mode 0700 (missing parents with 0755). Anything at agent.lock that is no file is
// renamed to agent.lock.damaged-<time>.
func (l *Lock) TryLock(ctx context.Context, command string) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := openDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := new(durable.Disk).MkdirAll(l.dir, l.makeDir); err != nil {
			return nil, l.failed(err)
		}
		dir, err = openDir(l.dir)
	}
	if err != nil {
		return nil, l.failed(err)
	}
	file, err := l.openFile()
	if err != nil {
		return nil, l.failed(errors.Join(err, closeAll(dir)))
	}
	if dir == nil && file == nil {
		return nil, l.failed(errors.New("there is no lock file and none can be made"))
	}
	for _, f := range []*os.File{dir, file} {
		if f == nil {
			continue
		}
		err := l.acquire(ctx, f)
		if err == nil || f == dir && file != nil && errors.Is(err, errors.ErrUnsupported) {
			continue // a file system that cannot lock directories can lock the file
		}
		_ = closeAll(dir, file) // the first error is the one that says why
		if errors.Is(err, ports.ErrLocked) || ctx.Err() != nil {
			return nil, err
		}
		return nil, l.failed(err)
	}
	if file != nil {
		// If that fails (no space, opened for reading only), the lock holds all
		// the same; it only does not name its holder.
		_ = sign(file, command)
	}
	return sync.OnceValue(func() error {
		if file != nil {
			_ = file.Truncate(0) // a name that stays is ignored while nothing is locked
		}
		for _, f := range []*os.File{file, dir} {
			if f != nil {
				// Closing alone would leave it locked for as long as a child
				// that was just forked has the file open. If releasing fails,
				// closing is all that is left.
				_ = release(f)
			}
		}
		return closeAll(file, dir)
	}), nil
}

func (l *Lock) failed(err error) error {
	advice := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = "; make it or set MUSTER_STATE_DIR"
	case errors.Is(err, fs.ErrPermission):
		advice = "; " + whoMay
	}
	return fmt.Errorf("lock the state directory %s: %w%s", l.dir, err, advice)
}

// acquire locks f, or fails at once with a *LockedError if a process holds it. A
// process that only asks who holds it does not count.
func (l *Lock) acquire(ctx context.Context, f *os.File) error {
	for range lockProbes {
		ok, err := tryLock(f, true)
		if ok || err != nil {
			return err
		}
		ok, err = tryLock(f, false)
		if err == nil && ok {
			err = release(f)
		}
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	holder, err := l.name(ctx)
	if err != nil {
		return err
	}
	return &holder
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(probeTime):
		return nil
	}
}

// openFile opens the lock file and makes it if it is absent. It returns nil and no
// error where the file can neither be opened nor made.
func (l *Lock) openFile() (*os.File, error) {
	if info, err := os.Lstat(l.path()); err == nil && !info.Mode().IsRegular() {
		// If it cannot be renamed, the directory's lock does alone.
		_, _ = new(durable.Disk).SetAside(l.path())
	}
	file, err := os.OpenFile(l.path(), os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err == nil {
		if err := durable.GiveAway(file, l.dir); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return file, nil
	}
	file, readErr := os.OpenFile(l.path(), os.O_RDONLY|noFollow, 0)
	if readErr == nil {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return file, nil
		}
		return nil, file.Close()
	}
	return nil, nil
}

// sign names this process in the lock file.
func sign(file *os.File, command string) error {
	text := fmt.Sprintf("%d %s\n", os.Getpid(), command)
	if _, err := file.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return file.Truncate(int64(len(text)))
}

// Holder implements ports.ProcessLock. It makes no file. A directory that may
// not be opened is an error of kind ports.ErrUnreadable.
func (l *Lock) Holder(ctx context.Context) (ports.LockedError, error) {
	if err := ctx.Err(); err != nil {
		return ports.LockedError{}, err
	}
	held, err := l.held()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ports.LockedError{}, fmt.Errorf("%s %w: %w; %s", l.dir, ports.ErrUnreadable, err, whoMay)
	case err != nil:
		return ports.LockedError{}, l.failed(err)
	case !held:
		return ports.LockedError{}, fmt.Errorf("holder of the lock of %s: %w", l.dir, ports.ErrNotStored)
	}
	return l.name(ctx)
}

// held reports whether a process holds the directory or the file.
func (l *Lock) held() (bool, error) {
	for _, open := range []func() (*os.File, error){
		func() (*os.File, error) { return openDir(l.dir) },
		func() (*os.File, error) { return openRegular(l.path()) },
	} {
		f, err := open()
		if errors.Is(err, fs.ErrNotExist) || f == nil && err == nil {
			continue
		}
		if err != nil {
			return false, err
		}
		ok, err := tryLock(f, false)
		if closeErr := f.Close(); closeErr != nil {
			return false, closeErr
		}
		if errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil || !ok {
			return !ok, err
		}
	}
	return false, nil
}

// openRegular opens path for reading; nil if it is no file.
func openRegular(path string) (*os.File, error) {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDONLY|noFollow, 0)
}

// name names the process that holds the lock, as far as that can be found out. It
// gives a holder that has only just locked the time to write its name.
func (l *Lock) name(ctx context.Context) (ports.LockedError, error) {
	holder := l.read()
	for i := 0; i < nameProbes && holder.Command == ""; i++ {
		if err := pause(ctx); err != nil {
			return ports.LockedError{}, err
		}
		holder = l.read()
	}
	return holder, nil
}

func (l *Lock) read() ports.LockedError {
	var holder ports.LockedError
	if file, err := openRegular(l.path()); err == nil && file != nil {
		content, err := io.ReadAll(io.LimitReader(file, maxContent))
		if closeErr := file.Close(); err == nil && closeErr == nil {
			holder = parse(content)
		}
	}
	// The content may be an earlier holder's, if the present one could not write
	// its own.
	if pid := systemHolder(l.dir, l.path()); pid != 0 && pid != holder.PID {
		holder = ports.LockedError{PID: pid}
	}
	return holder
}

// parse reads what sign wrote; zero if it is anything else.
func parse(content []byte) ports.LockedError {
	line, ended := bytes.CutSuffix(content, []byte("\n"))
	id, command, found := strings.Cut(string(line), " ")
	pid, err := strconv.Atoi(id)
	if !ended || !found || err != nil || pid <= 0 {
		return ports.LockedError{}
	}
	if strings.ContainsFunc(command, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
		command = ""
	}
	return ports.LockedError{PID: pid, Command: command}
}

func closeAll(files ...*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
