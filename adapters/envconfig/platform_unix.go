//go:build unix

package envconfig

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// openFlags keep the opening of a FIFO from blocking.
const openFlags = syscall.O_NONBLOCK

func environmentName(name string) string { return name }

func defaultFile(map[string]string) string { return "/etc/muster/agent.env" }

// defaultStateDir is the first directory of systemd's $STATE_DIRECTORY, which
// is a colon-separated list (systemd.exec(5)).
func defaultStateDir(environment map[string]string) string {
	if first, _, _ := strings.Cut(environment["STATE_DIRECTORY"], ":"); first != "" {
		return first
	}
	return "/var/lib/muster"
}

// checkWriters refuses a file that others than its owner and root may write. An
// access control list that lets others write shows as a right of the group.
func checkWriters(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner cannot be found")
	}
	return judgeWriters(info.Mode().Perm(), stat.Gid)
}

func judgeWriters(mode fs.FileMode, gid uint32) error {
	switch {
	case mode&0o002 != 0:
		return errors.New("every user may write it; take that right away (chmod go-w)")
	case mode&0o020 != 0 && gid != 0:
		return errors.New("its group may write it; take that right away (chmod g-w)")
	}
	return nil
}

// sameAccess gives f the owner and mode of another file.
func sameAccess(f *os.File, _ string, of fs.FileInfo) error {
	stat, ok := of.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner cannot be found")
	}
	if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	return f.Chmod(of.Mode().Perm())
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) { // there is no such call on some network file systems
		err = nil
	}
	return errors.Join(err, dir.Close())
}
