//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// owner is who is given what root makes in another user's directory.
type owner struct {
	uid, gid int
	other    bool // root is to give
}

func ownerOf(info fs.FileInfo) owner {
	st := info.Sys().(*syscall.Stat_t) // what package os fills in on every Unix
	return owner{int(st.Uid), int(st.Gid), os.Geteuid() == 0 && st.Uid != 0}
}

func (o owner) take(file *os.File) error {
	if !o.other {
		return nil
	}
	if info, err := file.Stat(); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		return err // somebody's already
	}
	return file.Chown(o.uid, o.gid)
}

func (o owner) takeDir(root *os.Root, name string) error {
	if !o.other {
		return nil
	}
	return root.Lchown(name, o.uid, o.gid)
}

func (o owner) give(path string) error {
	if !o.other {
		return nil
	}
	return os.Lchown(path, o.uid, o.gid)
}

// sameAccess gives file the owner and mode of another.
func sameAccess(file *os.File, _ string, of fs.FileInfo) error {
	st := of.Sys().(*syscall.Stat_t) // what package os fills in on every Unix
	if err := file.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return file.Chmod(of.Mode().Perm())
}

// rename gives a file or directory in root another name; Sync makes it durable.
func rename(root *os.Root, _, from, to string) error { return root.Rename(from, to) }

// remove removes a file, a link or an empty directory in root.
func remove(root *os.Root, _, name string) error { return root.Remove(name) }

// syncDir makes the names in dir durable. A file system that has no such call
// (some network and user-space ones) does not fail a write for it.
func syncDir(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
