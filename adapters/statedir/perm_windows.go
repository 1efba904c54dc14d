package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

// On Windows who reaches what is a matter of access control lists, which the
// Guard sees to.

func protect(*os.Root, fs.FileInfo, bool) error { return nil }

func exposed(string, fs.FileInfo) error { return nil }

type owner struct{}

func ownerOf(fs.FileInfo) owner { return owner{} }

func (owner) take(*os.File) error { return nil }

func (owner) takeDir(*os.Root, string) error { return nil }

// rename gives a file or directory in dir another name, which is on disk when
// it returns nil. It goes by the path, since an os.Root does not write through;
// in a directory that only administrators reach nobody puts a link in the way.
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

func readAdvice(_ string, err error) string {
	switch {
	case errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return "; another program keeps it open: close that"
	case errors.Is(err, fs.ErrPermission):
		return "; run as the SYSTEM service (muster service install), or from an administrator's prompt"
	}
	return ""
}

func writeAdvice(err error) string {
	switch {
	case errors.Is(err, windows.ERROR_DISK_FULL), errors.Is(err, windows.ERROR_HANDLE_DISK_FULL):
		return "; free some space there"
	case errors.Is(err, windows.ERROR_WRITE_PROTECT):
		return "; make its disk writable"
	}
	return readAdvice("", err)
}
