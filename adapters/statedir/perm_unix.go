//go:build unix

package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// protect sees to it that nobody else reaches into the state directory: one
// that others may only read is repaired by its owner or root; in one that
// others may write, unless it is still empty, anything may have been put.
func protect(root *os.Root, readOnly bool) error {
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if mode&0o077 == 0 {
		return nil
	}
	euid := os.Geteuid()
	ours := !readOnly && (euid == 0 || euid == int(stat(info).Uid))
	if mode&0o022 != 0 && !(ours && empty(root)) {
		return fmt.Errorf("its mode %#o lets other users change what lies in it; look at what is there, then: chmod 700 %s", mode, root.Name())
	}
	if ours {
		_ = root.Chmod(".", 0o700) // the files' own modes still protect them
	}
	return nil
}

func empty(root *os.Root) bool {
	dir, err := root.Open(".")
	if err != nil {
		return false
	}
	defer dir.Close() // read only: nothing is lost
	names, err := dir.Readdirnames(-1)
	return err == nil && len(names) == 0
}

// exposed says that others than its owner may read or write the file.
func exposed(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("its mode %#o lets other users at it, who may have read or changed it already; if you trust it still: chmod 600 %s", mode, path)
	}
	return nil
}

func stat(info fs.FileInfo) *syscall.Stat_t {
	return info.Sys().(*syscall.Stat_t) // what package os fills in on every Unix
}

func readAdvice(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		if info, statErr := os.Stat(path); statErr == nil {
			if uid, euid := int(stat(info).Uid), os.Geteuid(); uid != euid {
				return fmt.Sprintf("; it belongs to user id %d and this process runs as %d: run muster as root, or: chown %d %s", uid, euid, euid, path)
			}
			return "; give its owner back the right to read it: chmod u+rwX " + path
		}
		return fmt.Sprintf("; this process runs as user id %d: run muster as root or as the directory's owner", os.Geteuid())
	case errors.Is(err, syscall.ENOTDIR):
		return "; remove what lies there or set MUSTER_STATE_DIR"
	case errors.Is(err, syscall.EIO):
		return "; check the disk"
	}
	return ""
}

func writeAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; free some space there"
	case errors.Is(err, syscall.EROFS):
		return "; make its file system writable"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("; this process runs as user id %d: run muster as root or as the directory's owner", os.Geteuid())
	case errors.Is(err, syscall.EIO):
		return "; check the disk"
	}
	return ""
}
