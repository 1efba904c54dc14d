package statedir

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// On Windows who reaches what is a matter of access control lists, which the
// Guard sees to.

func protect(*os.Root, bool) error { return nil }

func exposed(string, fs.FileInfo) error { return nil }

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
