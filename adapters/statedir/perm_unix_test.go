//go:build unix

package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/ports"
)

// TestExposedFile shows that a file that others may read is used, changed and
// written over by nobody until a person has seen to it, and then at once.
func TestExposedFile(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if !s.is(private) {
			continue
		}
		for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o666} {
			is := is.New(t)
			path := newDir(t)
			var got recoveries
			d := open(t, path, Options{Recovered: got.add})
			is.NoErr(s.save(d, 1))
			file := filepath.Join(path, s.file)
			is.NoErr(os.Chmod(file, mode))
			before := disktest.Read(t, file)
			for _, err := range []error{second(s.load(d)), s.save(d, 2)} {
				is.True(errors.Is(err, ports.ErrUnreadable))
				is.True(strings.Contains(err.Error(), "chmod 600 "+file))
			}
			if s.reserve != nil {
				is.True(errors.Is(s.reserve(d), ports.ErrUnreadable))
			}
			if s.erase != nil {
				is.True(errors.Is(s.erase(d), ports.ErrUnreadable))
			}
			info, err := os.Stat(file)
			is.NoErr(err)
			is.Equal(info.Mode(), mode)
			is.Equal(disktest.Read(t, file), before)
			is.Equal(disktest.Tree(t, path), []string{s.file})
			is.Equal(len(got), 0)

			is.NoErr(os.Chmod(file, 0o600))
			s.loads(t, d, 1)

			// The same for what an interrupted replacement left.
			is.NoErr(os.Rename(file, file+".new"))
			is.NoErr(os.Chmod(file+".new", mode))
			_, err = s.load(d)
			is.True(errors.Is(err, ports.ErrUnreadable))
		}
	}
}

func TestDirectoryMode(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	mode := func() fs.FileMode {
		info, err := os.Stat(path)
		is.NoErr(err)
		return info.Mode().Perm()
	}
	is.NoErr(os.Mkdir(path, 0o700))
	is.NoErr(os.Chmod(path, 0o777))
	open(t, path, Options{ReadOnly: true})
	is.Equal(mode(), fs.FileMode(0o777))
	d := open(t, path, Options{}) // empty: nothing can have been put there
	is.Equal(mode(), fs.FileMode(0o700))
	is.NoErr(d.SaveIdentity(t.Context(), identity(1)))

	is.NoErr(os.Chmod(path, 0o755)) // others could only look
	subjects[1].loads(t, d, 1)
	is.Equal(mode(), fs.FileMode(0o700))

	is.NoErr(os.Chmod(path, 0o770))
	d = open(t, path, Options{})
	for _, s := range subjects {
		for _, err := range []error{second(s.load(d)), s.save(d, 2)} {
			is.True(errors.Is(err, ports.ErrUnreadable))
			is.True(strings.Contains(err.Error(), "chmod 700 "+path))
		}
	}
	is.Equal(mode(), fs.FileMode(0o770))
	is.NoErr(os.Chmod(path, 0o700))
	subjects[1].loads(t, d, 1)
}

// TestSpecialFile shows that a named pipe does not hold anybody up.
func TestSpecialFile(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		is := is.New(t)
		path := newDir(t)
		d := open(t, path, Options{})
		is.NoErr(os.MkdirAll(filepath.Join(path, filepath.Dir(s.file)), 0o700))
		is.NoErr(syscall.Mkfifo(filepath.Join(path, s.file), 0o600))
		s.damaged(t, d, path, "a named pipe")
	}
}

// TestAdvice fixes what a person is told to do.
func TestAdvice(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for cause, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "; free some space there", syscall.EDQUOT: "; free some space there",
		syscall.EROFS: "; make its file system writable", syscall.EIO: "; check the disk",
	} {
		err := notWritten("/state", &fs.PathError{Op: "write", Path: "file", Err: cause})
		is.True(errors.Is(err, ports.ErrNotWritten) && errors.Is(err, cause))
		is.Equal(err.Error(), "/state could not be written: "+cause.Error()+want)
	}
	is.Equal(unreadable("/state", syscall.EIO).Error(), "/state cannot be read: input/output error; check the disk")
	is.Equal(unreadable("/state", syscall.ENOTDIR).Error(), "/state cannot be read: not a directory; remove what lies there or set MUSTER_STATE_DIR")
}
