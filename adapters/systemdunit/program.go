//go:build linux

package systemdunit

import (
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/muster-agent/muster/adapters/internal/durable"
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

// write makes text what the unit's file holds.
func (m *Manager) write(text string) error {
	old, err := os.ReadFile(m.unit())
	if err == nil && string(old) == text {
		return nil
	}
	folder, err := new(durable.Disk).Open(m.path(unitFolder))
	if err != nil {
		return err
	}
	defer folder.Close()
	// The suffix that it has on its way is none of a unit: systemd does not read it.
	return folder.Replace(unitName, durable.Content{Data: []byte(text), Mode: 0o644, Old: old})
}
