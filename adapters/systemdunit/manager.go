//go:build linux

// Package systemdunit makes a program that was copied by hand a service of
// systemd, by a unit in /etc/systemd/system. It leaves a package's unit alone.
package systemdunit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/muster-agent/muster/ports"
)

const (
	unitName = "muster.service"
	// account is the user and group that the unit names.
	account = "muster"
	home    = "/var/lib/muster"
	// packaged is the program's path in the unit's text.
	packaged = "/usr/bin/muster"
	// marker begins each unit that this package writes.
	marker = "# Written by 'muster service install'"

	unitFolder = "etc/systemd/system"
	booted     = "run/systemd/system" // there if systemd is PID 1 (sd_booted(3))
)

// packageFolders are where packages put their units (systemd.unit(5)).
var packageFolders = [...]string{"usr/lib/systemd/system", "lib/systemd/system"}

// Options of a Manager. All fields are needed.
type Options struct {
	// Root is the root of the file system.
	Root string
	// Program is the absolute path, seen from Root, of the program that the
	// service runs.
	Program string
	// Unit is the text of the unit. It names the program /usr/bin/muster and
	// the user muster.
	Unit string
	// Run runs a command of the system to its end and returns what it wrote on
	// standard output. Its error says what it wrote on standard error.
	Run func(ctx context.Context, name string, args ...string) (string, error)
}

// Manager implements ports.ServiceManager.
type Manager struct{ o Options }

// New returns the manager of this machine's service. It changes nothing.
func New(o Options) *Manager { return &Manager{o} }

func (m *Manager) path(name string) string { return filepath.Join(m.o.Root, name) }
func (m *Manager) unit() string            { return m.path(unitFolder + "/" + unitName) }

// Install implements ports.ServiceManager. It makes the user muster where
// there is none.
func (m *Manager) Install(ctx context.Context) error {
	if err := m.mayChange(ctx); err != nil {
		return err
	}
	if err := m.ours(); err != nil {
		return err
	}
	if err := m.checkProgram(); err != nil {
		return err
	}
	if err := m.makeAccount(ctx); err != nil {
		return err
	}
	text := fmt.Sprintf("%s for %s.\n%s", marker, m.o.Program, strings.ReplaceAll(m.o.Unit, packaged, m.o.Program))
	if err := m.write(text); err != nil {
		return fmt.Errorf("writing the unit %s: %w", m.unit(), err)
	}
	if err := m.systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	return m.systemctl(ctx, "enable", unitName)
}

// Uninstall implements ports.ServiceManager. The user muster stays: files
// belong to it.
func (m *Manager) Uninstall(ctx context.Context) error {
	if err := m.mayChange(ctx); err != nil {
		return err
	}
	if err := m.ours(); err != nil {
		return err
	}
	if _, err := os.Lstat(m.unit()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := m.systemctl(ctx, "disable", "--now", unitName); err != nil {
		return err
	}
	if err := os.Remove(m.unit()); err != nil {
		return fmt.Errorf("removing the unit %s: %w", m.unit(), err)
	}
	return m.systemctl(ctx, "daemon-reload")
}

// Start implements ports.ServiceManager. It gives a service another chance that
// systemd no longer tries to start.
func (m *Manager) Start(ctx context.Context) error {
	st, err := m.installed(ctx)
	if err != nil {
		return err
	}
	const see = "'journalctl -u muster' says why"
	switch st.State {
	case ports.ServiceNotInstalled:
		return ports.ErrServiceNotInstalled
	case ports.ServiceFailed:
		if err := m.systemctl(ctx, "reset-failed", unitName); err != nil {
			return err
		}
	case ports.ServiceStopped, ports.ServiceStarting, ports.ServiceRunning, ports.ServiceStopping:
	}
	if err := m.systemctl(ctx, "start", unitName); err != nil {
		return fmt.Errorf("the service did not start: %w; %s", err, see)
	}
	if st, err = m.Status(ctx); err == nil && st.State != ports.ServiceRunning {
		err = errors.New("the service was started and has ended again; " + see)
	}
	return err
}

// Stop implements ports.ServiceManager.
func (m *Manager) Stop(ctx context.Context) error {
	st, err := m.installed(ctx)
	if err != nil || st.State == ports.ServiceNotInstalled {
		return err
	}
	return m.systemctl(ctx, "stop", unitName)
}

// installed returns the status for a caller that is about to change it.
func (m *Manager) installed(ctx context.Context) (ports.ServiceStatus, error) {
	if err := m.mayChange(ctx); err != nil {
		return ports.ServiceStatus{}, err
	}
	return m.Status(ctx)
}

// Status implements ports.ServiceManager.
func (m *Manager) Status(ctx context.Context) (ports.ServiceStatus, error) {
	if err := m.there(ctx); err != nil {
		return ports.ServiceStatus{}, err
	}
	out, err := m.o.Run(ctx, "systemctl", "show", "--property=LoadState,ActiveState,UnitFileState,MainPID,StatusText,Result", unitName)
	if err != nil {
		return ports.ServiceStatus{}, fmt.Errorf("asking systemd for the service: %w", err)
	}
	shown := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		shown[name] = value
	}
	st := ports.ServiceStatus{AtBoot: strings.HasPrefix(shown["UnitFileState"], "enabled")}
	if shown["LoadState"] == "not-found" {
		st.State = ports.ServiceNotInstalled
		return st, nil
	}
	switch active := shown["ActiveState"]; active {
	case "active", "reloading", "refreshing":
		st.State, st.Detail = ports.ServiceRunning, shown["StatusText"]
		if st.PID, err = strconv.Atoi(shown["MainPID"]); err != nil {
			return st, fmt.Errorf("systemd names the service's process %q", shown["MainPID"])
		}
	case "activating":
		st.State, st.Detail = ports.ServiceStarting, shown["StatusText"]
	case "deactivating":
		st.State = ports.ServiceStopping
	case "failed":
		st.State, st.Detail = ports.ServiceFailed, shown["Result"]
	case "inactive", "maintenance":
		st.State = ports.ServiceStopped
	default:
		return st, fmt.Errorf("systemd says that the service is %q, which is not known here", active)
	}
	if load := shown["LoadState"]; load != "loaded" { // masked, bad-setting
		st.Detail = load
	}
	return st, nil
}

// there fails unless systemd is this machine's init.
func (m *Manager) there(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if info, err := os.Lstat(m.path(booted)); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: systemd does not run this machine", ports.ErrNoServiceManager)
	}
	return nil
}

// mayChange fails unless this process may change the units of the machine.
func (m *Manager) mayChange(ctx context.Context) error {
	if err := m.there(ctx); err != nil {
		return err
	}
	const write = 2 // W_OK of access(2)
	err := syscall.Access(m.path(unitFolder), write)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ports.ErrForbidden
	case err != nil:
		return fmt.Errorf("%s cannot be written: %w", m.path(unitFolder), err)
	}
	return nil
}

// ours fails if the unit is one that somebody else has put there.
func (m *Manager) ours() error {
	for _, folder := range packageFolders {
		if unit := m.path(folder + "/" + unitName); exists(unit) {
			return fmt.Errorf("%w (%s): install, upgrade and remove that", ports.ErrServiceNotOurs, unit)
		}
	}
	info, err := os.Lstat(m.unit())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the unit: %w", err)
	}
	var text []byte
	if info.Mode().IsRegular() {
		if text, err = os.ReadFile(m.unit()); err != nil {
			return fmt.Errorf("looking at the unit: %w", err)
		}
	}
	if !strings.HasPrefix(string(text), marker) {
		return fmt.Errorf("%w or a person: %s was not written by 'muster service install'; remove it first", ports.ErrServiceNotOurs, m.unit())
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (m *Manager) systemctl(ctx context.Context, args ...string) error {
	_, err := m.o.Run(ctx, "systemctl", append([]string{"--no-ask-password", "--quiet"}, args...)...)
	if err != nil {
		return fmt.Errorf("systemctl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}
