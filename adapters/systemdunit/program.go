//go:build linux

package systemdunit

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// hidden are the top folders in which the unit's restrictions forbid to run a
// program (ProtectHome=, PrivateTmp=, NoExecPaths=).
var hidden = [...]string{"home", "root", "run", "tmp", "var", "dev"}

// letters are the characters of a path that have no special meaning to systemd.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+"

// checkProgram refuses a program that the service could not run, or that others
// than root could replace: one step of the unit runs it as root.
func (m *Manager) checkProgram() error {
	program := m.o.Program
	const advice = "copy it to /usr/local/bin and run it from there"
	if !path.IsAbs(program) || strings.Trim(program, letters) != "" {
		return fmt.Errorf("the path of the program (%q) cannot stand in a unit: %s", program, advice)
	}
	for _, name := range hidden {
		if folder := "/" + name + "/"; strings.HasPrefix(program, folder) {
			return fmt.Errorf("the service may not run a program in %s (%s): %s", folder, program, advice)
		}
	}
	for _, name := range []string{program, path.Dir(program)} {
		info, err := os.Stat(m.path(name))
		if err != nil {
			return fmt.Errorf("looking at the program: %w", err)
		}
		if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != 0 && owner != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("others than root may change %s, which the service runs as root: chown root:root %[1]s; chmod 755 %[1]s", name)
		}
		if info.Mode().Perm()&0o005 != 0o005 {
			return fmt.Errorf("the service's user may not run %s: chmod 755 %s", program, name)
		}
	}
	return nil
}

// replace makes text the content of the file, atomically.
func replace(name, text string) error {
	if old, err := os.ReadFile(name); err == nil && string(old) == text {
		return nil
	}
	tmp := name + ".new" // no suffix of a unit: systemd does not read it
	err := write(tmp, text)
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		_ = os.Remove(tmp) // the first error is the one that says why
	}
	return err
}

func write(name, text string) (err error) {
	const mode fs.FileMode = 0o644
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(text); err == nil {
		err = f.Chmod(mode) // whatever the umask
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
