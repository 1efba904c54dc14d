//go:build unix

package certfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

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
