package ports

import (
	"context"
	"errors"
)

// ServiceState is how a service stands at its service manager.
type ServiceState string

// The states of a service.
const (
	ServiceNotInstalled ServiceState = "not_installed"
	ServiceStopped      ServiceState = "stopped"
	ServiceStarting     ServiceState = "starting"
	ServiceRunning      ServiceState = "running"
	ServiceStopping     ServiceState = "stopping"
	ServiceFailed       ServiceState = "failed" // ended with an error, or gave up restarting
)

// ServiceStatus is what a service manager knows of the agent's service.
type ServiceStatus struct {
	State ServiceState
	// AtBoot: the service manager starts it when the machine starts.
	AtBoot bool
	// PID is the process of a running service; 0 if there is none.
	PID int
	// Detail is one line in the manager's own words; it may be empty.
	Detail string
}

// What a service manager may answer.
var (
	// ErrNoServiceManager: there is none that this program knows.
	ErrNoServiceManager = errors.New("no service manager was found")
	// ErrServiceNotInstalled: there is no such service to start.
	ErrServiceNotInstalled = errors.New("the service is not installed: muster service install")
	// ErrServiceNotOurs: the service was installed by a package and is left to
	// it.
	ErrServiceNotOurs = errors.New("the service belongs to a package")
)

// ServiceManager installs the running program as the service that the machine
// starts: systemd, the Windows service control manager. Every method but
// Status needs the rights to change the machine and fails with ErrForbidden
// without them, having changed nothing. Every method is idempotent: it succeeds
// where nothing is left to do. All obey ctx.
type ServiceManager interface {
	// Install registers the program for the start of the machine and does not
	// start it. A service of ours that is there is brought up to date; one of
	// a package is left alone (ErrServiceNotOurs).
	Install(ctx context.Context) error
	// Uninstall stops the service and takes its registration away. The state
	// directory and the configuration stay.
	Uninstall(ctx context.Context) error
	// Start returns once the service runs, or failed to.
	Start(ctx context.Context) error
	// Stop returns once the service has ended.
	Stop(ctx context.Context) error
	Status(ctx context.Context) (ServiceStatus, error)
}
