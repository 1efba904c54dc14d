package statussocket

import (
	"fmt"
	"os"
)

// throughShortPath calls use with a name of the directory that fits into a
// socket's address, which holds 107 bytes. A path that is too long it replaces by
// a descriptor of the directory.
func throughShortPath(dir string, use func(dir string) error) error {
	if len(dir)+1+len(FileName) < 108 {
		return use(dir)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // opened to be named only
	return use(fmt.Sprintf("/proc/self/fd/%d", d.Fd()))
}
