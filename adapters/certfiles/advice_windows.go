package certfiles

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

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
