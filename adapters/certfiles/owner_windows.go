package certfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

// On Windows the key has the access control list that the Guard gives it. What
// everybody may read inherits the list of its directory.

type owner struct{}

func ownerOf(fs.FileInfo) owner { return owner{} }

func (owner) take(*os.File) error { return nil }

func giveAsParent(string) error { return nil }

// rename gives a file in dir another name, which is on disk when it returns
// nil. It goes by the path, since an os.Root does not write through; a link in
// the file's own place is replaced, not followed.
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

func advice(err error) string {
	switch {
	case errors.Is(err, windows.ERROR_DISK_FULL), errors.Is(err, windows.ERROR_HANDLE_DISK_FULL):
		return "; free some space there"
	case errors.Is(err, windows.ERROR_WRITE_PROTECT):
		return "; make its disk writable, or configure another path"
	case errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return "; another program keeps it open: close that"
	case errors.Is(err, fs.ErrPermission):
		return "; run as the SYSTEM service (muster service install) or from an administrator's prompt, or configure another path"
	}
	return ""
}
