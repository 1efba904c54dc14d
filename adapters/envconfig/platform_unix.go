//go:build unix

package envconfig

import (
	"errors"
	"io/fs"
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
