package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

// On Windows who reaches what is a matter of access control lists, which the
// Guard and inheritance see to.

type owner struct{}

func ownerOf(fs.FileInfo) owner { return owner{} }

func (owner) take(*os.File) error { return nil }

func (owner) takeDir(*os.Root, string) error { return nil }

func (owner) give(string) error { return nil }

// sameAccess gives file the access control list of the file at path, which may
// be closer than that of the directory.
func sameAccess(file *os.File, path string, _ fs.FileInfo) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	control, _, err := sd.Control()
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	parts := windows.SECURITY_INFORMATION(windows.DACL_SECURITY_INFORMATION)
	if control&windows.SE_DACL_PROTECTED != 0 {
		parts |= windows.PROTECTED_DACL_SECURITY_INFORMATION
	} else {
		parts |= windows.UNPROTECTED_DACL_SECURITY_INFORMATION
	}
	return windows.SetNamedSecurityInfo(file.Name(), windows.SE_FILE_OBJECT, parts, nil, nil, dacl, nil)
}

// remove removes a file, a link or an empty directory in root, whose path is
// dir. Where Windows does not know the removal that an os.Root asks for (Wine 8
// answers ERROR_INVALID_FUNCTION), the file is removed by its path.
func remove(root *os.Root, dir, name string) error {
	err := root.Remove(name)
	if errors.Is(err, windows.ERROR_INVALID_FUNCTION) {
		return os.Remove(filepath.Join(dir, name))
	}
	return err
}

// rename gives a file or directory in dir another name, which is on disk when
// it returns nil. It goes by the path, since an os.Root does not write through:
// a link in the file's own place is replaced, not followed, and nobody but
// administrators can put one in the way to it.
func rename(_ *os.Root, dir, from, to string) error {
	old, err := windows.UTF16PtrFromString(filepath.Join(dir, from))
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(filepath.Join(dir, to))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(heldFor); ; time.Sleep(heldPause) {
		err := windows.MoveFileEx(old, name, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
		if !held(err) || time.Now().After(deadline) {
			return err
		}
	}
}

// A virus scanner, an indexer or a backup opens a file that was just written,
// and keeps it from being renamed or replaced for some milliseconds.
const heldFor, heldPause = time.Second, 10 * time.Millisecond

// held reports whether somebody may have a file open; a file that is open is
// replaced as little as one to which this account has no right.
func held(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}

// syncDir does nothing: Windows has no such call for a directory.
func syncDir(*os.File) error { return nil }
