package winservice

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/muster-agent/muster/ports"
)

// Manager implements ports.ServiceManager by the service control manager.
type Manager struct {
	options Options
	connect func(access uint32) (*mgr.Mgr, error)
}

// New manages the service that the options describe.
func New(options Options) *Manager {
	return &Manager{options: options, connect: connect}
}

func connect(access uint32) (*mgr.Mgr, error) {
	handle, err := windows.OpenSCManager(nil, nil, access)
	if err != nil {
		return nil, err
	}
	return &mgr.Mgr{Handle: handle}, nil
}

// Bounds of the waits for the service control manager.
const (
	pollInterval = 50 * time.Millisecond
	settleWithin = 90 * time.Second // StopWithin, and what a slow machine adds
	goneWithin   = 5 * time.Second  // of a deleted service: others may hold it open for as long as they like
)

// Install implements ports.ServiceManager.
func (m *Manager) Install(ctx context.Context) error {
	return m.change(ctx, "installing", func(scm *mgr.Mgr) error {
		if m.packaged() {
			return ports.ErrServiceNotOurs
		}
		service, err := scm.CreateService(m.options.Name, m.options.Program, mgr.Config{StartType: mgr.StartAutomatic}, m.options.Arguments...)
		if errors.Is(err, windows.ERROR_SERVICE_EXISTS) {
			service, err = scm.OpenService(m.options.Name)
		}
		if err != nil {
			return err
		}
		defer service.Close() // nothing is written by it
		if err := m.configure(service); err != nil {
			return err
		}
		return installEvents(m.options.Name)
	})
}

// configure gives a service the settings of the options, whatever it had before.
func (m *Manager) configure(service *mgr.Service) error {
	texts := make([]*uint16, 0, 4)
	for _, text := range []string{m.options.commandLine(), "LocalSystem", m.options.DisplayName, m.options.Description} {
		p, err := windows.UTF16PtrFromString(text)
		if err != nil {
			return err
		}
		texts = append(texts, p)
	}
	if err := windows.ChangeServiceConfig(service.Handle, windows.SERVICE_WIN32_OWN_PROCESS, windows.SERVICE_AUTO_START, windows.SERVICE_ERROR_NORMAL,
		texts[0], nil, nil, nil, texts[1], nil, texts[2]); err != nil {
		return err
	}
	description := windows.SERVICE_DESCRIPTION{Description: texts[3]}
	delayed := windows.SERVICE_DELAYED_AUTO_START_INFO{IsDelayedAutoStartUp: 1}
	return errors.Join(
		windows.ChangeServiceConfig2(service.Handle, windows.SERVICE_CONFIG_DESCRIPTION, (*byte)(unsafe.Pointer(&description))),
		unlessUnknown(windows.ChangeServiceConfig2(service.Handle, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (*byte)(unsafe.Pointer(&delayed)))),
		service.SetRecoveryActions(recovery, uint32(recoveryReset/time.Second)),
		// An end with an error counts as a failure as a crash does; exit code 0
		// does not.
		unlessUnknown(service.SetRecoveryActionsOnNonCrashFailures(true)),
	)
}

// unlessUnknown returns err, or nil where the system (Wine) does not know such a
// setting.
func unlessUnknown(err error) error {
	if errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return nil
	}
	return err
}

// Uninstall implements ports.ServiceManager.
func (m *Manager) Uninstall(ctx context.Context) error {
	return m.change(ctx, "uninstalling", func(scm *mgr.Mgr) error {
		if m.packaged() {
			return ports.ErrServiceNotOurs
		}
		if err := m.delete(ctx, scm); err != nil && !errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return err
		}
		if err := m.gone(ctx, scm); err != nil {
			return err
		}
		return removeEvents(m.options.Name)
	})
}

func (m *Manager) delete(ctx context.Context, scm *mgr.Mgr) error {
	service, err := scm.OpenService(m.options.Name)
	if err != nil {
		return err
	}
	defer service.Close() // which lets it go
	if err := stop(ctx, service); err != nil {
		return err
	}
	if err := service.Delete(); !errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE) {
		return err
	}
	return nil
}

// gone waits until a deleted service no longer exists.
func (m *Manager) gone(ctx context.Context, scm *mgr.Mgr) error {
	for deadline := time.Now().Add(goneWithin); ; {
		service, err := scm.OpenService(m.options.Name)
		if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return nil
		}
		if err == nil {
			err = service.Close()
		}
		switch {
		case err != nil && !errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE):
			return err
		case time.Now().After(deadline):
			return errors.New("it is deleted once nobody has it open any more: close the Services window and the Task Manager")
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// Start implements ports.ServiceManager.
func (m *Manager) Start(ctx context.Context) error {
	return m.change(ctx, "starting", func(scm *mgr.Mgr) error {
		service, err := scm.OpenService(m.options.Name)
		if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return ports.ErrServiceNotInstalled
		}
		if err != nil {
			return err
		}
		defer service.Close() // nothing is written by it
		if err := launch(ctx, service); err != nil {
			return err
		}
		status, err := until(ctx, service, func(s svc.State) bool { return s == svc.Running || s == svc.Stopped })
		switch {
		case err != nil:
			return err
		case status.State == svc.Running:
			return nil
		case ending(status) == "":
			return errors.New("it ended at once and without an error: there is nothing for it to do; 'muster config' shows what is configured")
		}
		return errors.New("it " + ending(status) + "; the event log (Application) says why")
	})
}

// launch starts a service unless it runs, or starts already.
func launch(ctx context.Context, service *mgr.Service) error {
	for deadline := time.Now().Add(settleWithin); ; {
		status, err := until(ctx, service, func(s svc.State) bool { return s != svc.StopPending })
		if err != nil || status.State != svc.Stopped {
			return err
		}
		err = service.Start()
		// "Already running", and yet stopped: its process has said so and is
		// about to end.
		if !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// Stop implements ports.ServiceManager.
func (m *Manager) Stop(ctx context.Context) error {
	return m.change(ctx, "stopping", func(scm *mgr.Mgr) error {
		service, err := scm.OpenService(m.options.Name)
		if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return nil
		}
		if err != nil {
			return err
		}
		defer service.Close() // nothing is written by it
		return stop(ctx, service)
	})
}

// stop returns once the service has ended.
func stop(ctx context.Context, service *mgr.Service) error {
	// A service that is starting takes no orders.
	status, err := until(ctx, service, func(s svc.State) bool { return s != svc.StartPending })
	if err != nil || status.State == svc.Stopped {
		return err
	}
	_, err = service.Control(svc.Stop)
	if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return nil
	}
	if err != nil && !errors.Is(err, windows.ERROR_SERVICE_CANNOT_ACCEPT_CTRL) { // it stops already
		return err
	}
	_, err = until(ctx, service, func(s svc.State) bool { return s == svc.Stopped })
	return err
}

// until waits for a state of the service.
func until(ctx context.Context, service *mgr.Service, reached func(svc.State) bool) (svc.Status, error) {
	for deadline := time.Now().Add(settleWithin); ; {
		status, err := service.Query()
		if err != nil || reached(status.State) {
			return status, err
		}
		if time.Now().After(deadline) {
			return status, fmt.Errorf("it is still %s after %v", state(status), settleWithin)
		}
		if err := pause(ctx); err != nil {
			return status, err
		}
	}
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Status implements ports.ServiceManager. Every account may ask.
func (m *Manager) Status(ctx context.Context) (ports.ServiceStatus, error) {
	status, err := m.status(ctx)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return ports.ServiceStatus{State: ports.ServiceNotInstalled}, nil
	}
	if err != nil {
		return ports.ServiceStatus{}, fmt.Errorf("asking how the service %s stands: %w", m.options.Name, kind(err))
	}
	return status, nil
}

func (m *Manager) status(ctx context.Context) (found ports.ServiceStatus, err error) {
	if err := ctx.Err(); err != nil {
		return found, err
	}
	scm, err := m.connect(windows.SC_MANAGER_CONNECT)
	if err != nil {
		return found, err
	}
	defer scm.Disconnect() // only read
	name, err := windows.UTF16PtrFromString(m.options.Name)
	if err != nil {
		return found, err
	}
	handle, err := windows.OpenService(scm.Handle, name, windows.SERVICE_QUERY_STATUS|windows.SERVICE_QUERY_CONFIG)
	if err != nil {
		return found, err
	}
	service := &mgr.Service{Name: m.options.Name, Handle: handle}
	defer service.Close() // only read
	status, err := service.Query()
	if err != nil {
		return found, err
	}
	start, err := startType(handle)
	if err != nil {
		return found, err
	}
	return ports.ServiceStatus{State: state(status), AtBoot: start == windows.SERVICE_AUTO_START, PID: pid(status), Detail: ending(status)}, nil
}

func startType(service windows.Handle) (uint32, error) {
	var size uint32
	err := windows.QueryServiceConfig(service, nil, 0, &size)
	if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) {
		return 0, err
	}
	// Of words, so that the structure lies as it has to.
	buffer := make([]uint64, size/8+1)
	config := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buffer[0]))
	if err := windows.QueryServiceConfig(service, config, uint32(len(buffer)*8), &size); err != nil {
		return 0, err
	}
	return config.StartType, nil
}

// state translates a status. The states of a pause never occur, since the service
// does not accept one.
func state(status svc.Status) ports.ServiceState {
	switch status.State {
	case svc.StartPending:
		return ports.ServiceStarting
	case svc.StopPending:
		return ports.ServiceStopping
	case svc.Stopped:
		if ending(status) != "" {
			return ports.ServiceFailed
		}
		return ports.ServiceStopped
	}
	return ports.ServiceRunning
}

func pid(status svc.Status) int {
	if state(status) != ports.ServiceRunning {
		return 0
	}
	return int(status.ProcessId)
}

// ending says with which error a stopped service ended; empty if there was none
// or it never ran.
func ending(status svc.Status) string {
	if status.State != svc.Stopped {
		return ""
	}
	switch code := windows.Errno(status.Win32ExitCode); code {
	case windows.NO_ERROR, windows.ERROR_SERVICE_NEVER_STARTED:
		return ""
	case windows.ERROR_SERVICE_SPECIFIC_ERROR:
		return fmt.Sprintf("ended with exit code %d", status.ServiceSpecificExitCode)
	default:
		return fmt.Sprintf("ended: %v", code)
	}
}

// change does what needs an administrator's rights.
func (m *Manager) change(ctx context.Context, doing string, do func(*mgr.Mgr) error) error {
	fail := func(err error) error {
		return fmt.Errorf("%s the service %s: %w", doing, m.options.Name, kind(err))
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	// Every change asks for this right: whoever has it may do the rest.
	scm, err := m.connect(windows.SC_MANAGER_CONNECT | windows.SC_MANAGER_CREATE_SERVICE)
	if err != nil {
		return fail(err)
	}
	defer scm.Disconnect() // nothing is written by it
	if err := do(scm); err != nil {
		return fail(err)
	}
	return nil
}

// kind makes an error one of the port's kinds.
func kind(err error) error {
	switch {
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return fmt.Errorf("%w: use an administrator's prompt", ports.ErrForbidden)
	case errors.Is(err, windows.RPC_S_SERVER_UNAVAILABLE):
		return fmt.Errorf("%w: %w", ports.ErrNoServiceManager, err)
	}
	return err
}

// packaged reports whether a version of the installer is installed.
func (m *Manager) packaged() bool {
	if m.options.UpgradeCode == "" {
		return false
	}
	related := windows.NewLazySystemDLL("msi.dll").NewProc("MsiEnumRelatedProductsW")
	if related.Find() != nil {
		return false // nothing can have been installed then
	}
	code, err := windows.UTF16PtrFromString(m.options.UpgradeCode)
	if err != nil {
		return false
	}
	var product [39]uint16 // a GUID in braces
	result, _, _ := related.Call(uintptr(unsafe.Pointer(code)), 0, 0, uintptr(unsafe.Pointer(&product[0])))
	return windows.Errno(result) == windows.ERROR_SUCCESS
}
