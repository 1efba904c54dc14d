//go:build unix

package certfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// owner is who is given what root makes in another user's directory.
type owner struct {
	uid, gid int
	give     bool
}

func ownerOf(info fs.FileInfo) owner {
	st := info.Sys().(*syscall.Stat_t) // what package os fills in on every Unix
	return owner{int(st.Uid), int(st.Gid), os.Geteuid() == 0 && st.Uid != 0}
}

func (o owner) take(file *os.File) error {
	if !o.give {
		return nil
	}
	return file.Chown(o.uid, o.gid)
}

// giveAsParent gives a new directory to its parent's owner.
func giveAsParent(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	o := ownerOf(info)
	if !o.give {
		return nil
	}
	return os.Lchown(path, o.uid, o.gid)
}

// rename gives a file in root another name; sync makes it durable.
func rename(root *os.Root, _, from, to string) error { return root.Rename(from, to) }

// syncDir makes the names in dir durable. A file system that has no such call
// (some network and user-space ones) does not fail a write for it.
func syncDir(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

func advice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; free some space there"
	case errors.Is(err, syscall.EROFS):
		return "; make its file system writable, or configure another path"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("; this process runs as user id %d: give it the right to write there, or configure another path", os.Geteuid())
	case errors.Is(err, syscall.ENOTDIR):
		return "; remove what lies in its directory's place, or configure another path"
	case errors.Is(err, syscall.EIO):
		return "; check the disk"
	}
	return ""
}
