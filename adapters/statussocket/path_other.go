//go:build unix && !linux

package statussocket

import (
	"os"
	"path/filepath"
)

// throughShortPath calls use with a name of the directory that fits into a
// socket's address, which holds at least 103 bytes. A path that is too long it
// replaces by a symbolic link in the directory for temporary files.
func throughShortPath(dir string, use func(dir string) error) error {
	if len(dir)+1+len(FileName) < 103 {
		return use(dir)
	}
	parent, err := os.MkdirTemp("", "muster")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(parent) }() // a link that stays harms nobody
	link := filepath.Join(parent, "d")
	if err := os.Symlink(dir, link); err != nil {
		return err
	}
	return use(link)
}
