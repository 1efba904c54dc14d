package memory

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/muster-agent/muster/ports"
)

// Service implements ports.ServiceManager. The zero value is a machine on
// which the service is not installed. Its fields may be set before its first
// use.
type Service struct {
	Absent   bool // there is no service manager
	NoRights bool // the caller may look only
	Packaged bool // a package has installed the service
	Broken   bool // a started service ends with an error

	mu    sync.Mutex
	state ports.ServiceState // empty for not installed
}

// change runs f for a caller who may change the machine.
func (m *Service) change(ctx context.Context, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.Absent:
		return ports.ErrNoServiceManager
	case m.NoRights:
		return ports.ErrForbidden
	}
	if m.Packaged && m.state == "" {
		m.state = ports.ServiceStopped
	}
	return f()
}

// Install implements ports.ServiceManager.
func (m *Service) Install(ctx context.Context) error {
	return m.change(ctx, func() error {
		if m.Packaged {
			return ports.ErrServiceNotOurs
		}
		if m.state == "" {
			m.state = ports.ServiceStopped
		}
		return nil
	})
}

// Uninstall implements ports.ServiceManager.
func (m *Service) Uninstall(ctx context.Context) error {
	return m.change(ctx, func() error {
		if m.Packaged {
			return ports.ErrServiceNotOurs
		}
		m.state = ""
		return nil
	})
}

// Start implements ports.ServiceManager.
func (m *Service) Start(ctx context.Context) error {
	return m.change(ctx, func() error {
		switch {
		case m.state == "":
			return ports.ErrServiceNotInstalled
		case m.Broken:
			m.state = ports.ServiceFailed
			return errors.New("the service ended with an error")
		}
		m.state = ports.ServiceRunning
		return nil
	})
}

// Stop implements ports.ServiceManager.
func (m *Service) Stop(ctx context.Context) error {
	return m.change(ctx, func() error {
		if m.state != "" {
			m.state = ports.ServiceStopped
		}
		return nil
	})
}

// Status implements ports.ServiceManager.
func (m *Service) Status(ctx context.Context) (ports.ServiceStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ports.ServiceStatus{}, ctx.Err()
	case m.Absent:
		return ports.ServiceStatus{}, ports.ErrNoServiceManager
	case m.state == "" && m.Packaged:
		return ports.ServiceStatus{State: ports.ServiceStopped, AtBoot: true}, nil
	case m.state == "":
		return ports.ServiceStatus{State: ports.ServiceNotInstalled}, nil
	}
	st := ports.ServiceStatus{State: m.state, AtBoot: true}
	if m.state == ports.ServiceRunning {
		st.PID = os.Getpid()
	}
	return st, nil
}
