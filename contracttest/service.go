package contracttest

import (
	"context"
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// ServiceMachines make machines for the suite of ports.ServiceManager, each with
// its service manager. Those that an adapter cannot make are nil.
type ServiceMachines struct {
	Fresh         func(*testing.T) ports.ServiceManager // the service is not installed
	Broken        func(*testing.T) ports.ServiceManager // the same; started, it ends with an error
	Packaged      func(*testing.T) ports.ServiceManager // a package has installed the service
	WithoutRights func(*testing.T) ports.ServiceManager // the service is not installed, and the caller may only look
	Without       func(*testing.T) ports.ServiceManager // there is no service manager
}

// ServiceManager is the suite of ports.ServiceManager.
func ServiceManager(t *testing.T, machines ServiceMachines) {
	names(t, "ServiceManager")
	with := func(name string, machine func(*testing.T) ports.ServiceManager, test func(t *testing.T, m ports.ServiceManager)) {
		t.Run(name, func(t *testing.T) {
			if machine == nil {
				t.Skip("there is no such machine for this adapter")
			}
			test(t, machine(t))
		})
	}
	stands := func(t *testing.T, m ports.ServiceManager, state ports.ServiceState, atBoot bool) {
		t.Helper()
		st, err := m.Status(t.Context())
		if err != nil || st.State != state || st.AtBoot != atBoot || (st.PID > 0) != (state == ports.ServiceRunning) {
			t.Fatalf("the service stands as %+v (%v), want %s, at boot %v", st, err, state, atBoot)
		}
	}
	changes := map[string]func(ports.ServiceManager, context.Context) error{
		"Install": ports.ServiceManager.Install, "Uninstall": ports.ServiceManager.Uninstall,
		"Start": ports.ServiceManager.Start, "Stop": ports.ServiceManager.Stop,
	}

	with("a whole life, each step twice", machines.Fresh, func(t *testing.T, m ports.ServiceManager) {
		ctx := t.Context()
		stands(t, m, ports.ServiceNotInstalled, false)
		for _, step := range []struct {
			name   string
			do     func(context.Context) error
			state  ports.ServiceState
			atBoot bool
		}{
			{"Install", m.Install, ports.ServiceStopped, true},
			{"Stop what never ran", m.Stop, ports.ServiceStopped, true},
			{"Start", m.Start, ports.ServiceRunning, true},
			{"Install beside the running service", m.Install, ports.ServiceRunning, true},
			{"Stop", m.Stop, ports.ServiceStopped, true},
			{"Start again", m.Start, ports.ServiceRunning, true},
			{"Uninstall", m.Uninstall, ports.ServiceNotInstalled, false},
			{"Install again", m.Install, ports.ServiceStopped, true},
			{"Uninstall again", m.Uninstall, ports.ServiceNotInstalled, false},
		} {
			for range 2 {
				if err := step.do(ctx); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
				stands(t, m, step.state, step.atBoot)
			}
		}
	})
	with("what is not installed cannot be started, and is stopped", machines.Fresh, func(t *testing.T, m ports.ServiceManager) {
		is := is.New(t)
		is.True(errors.Is(m.Start(t.Context()), ports.ErrServiceNotInstalled))
		is.NoErr(m.Stop(t.Context()))
		is.NoErr(m.Uninstall(t.Context()))
		stands(t, m, ports.ServiceNotInstalled, false)
	})
	with("a start that fails is said, and can be tried again", machines.Broken, func(t *testing.T, m ports.ServiceManager) {
		is := is.New(t)
		is.NoErr(m.Install(t.Context()))
		for range 2 {
			is.True(m.Start(t.Context()) != nil) // the service ends with an error
			stands(t, m, ports.ServiceFailed, true)
		}
		is.NoErr(m.Uninstall(t.Context()))
		stands(t, m, ports.ServiceNotInstalled, false)
	})
	with("a package's service is left to it", machines.Packaged, func(t *testing.T, m ports.ServiceManager) {
		is := is.New(t)
		before, err := m.Status(t.Context())
		is.NoErr(err)
		is.True(before.State != ports.ServiceNotInstalled)
		is.True(errors.Is(m.Install(t.Context()), ports.ErrServiceNotOurs))
		is.True(errors.Is(m.Uninstall(t.Context()), ports.ErrServiceNotOurs))
		after, err := m.Status(t.Context())
		is.NoErr(err)
		is.Equal(after, before)
		is.NoErr(m.Start(t.Context())) // that is no business of the package
		stands(t, m, ports.ServiceRunning, before.AtBoot)
		is.NoErr(m.Stop(t.Context()))
	})
	with("without rights one may look", machines.WithoutRights, func(t *testing.T, m ports.ServiceManager) {
		for name, change := range changes {
			if err := change(m, t.Context()); !errors.Is(err, ports.ErrForbidden) {
				t.Errorf("%s: %v", name, err)
			}
		}
		stands(t, m, ports.ServiceNotInstalled, false)
	})
	with("without a service manager nothing is done", machines.Without, func(t *testing.T, m ports.ServiceManager) {
		for name, change := range changes {
			if err := change(m, t.Context()); !errors.Is(err, ports.ErrNoServiceManager) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := m.Status(t.Context())
		is.New(t).True(errors.Is(err, ports.ErrNoServiceManager))
	})
	with("a done context is answered with its error, and nothing changes", machines.Fresh, func(t *testing.T, m ports.ServiceManager) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, change := range changes {
			if err := change(m, ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := m.Status(ctx)
		is.New(t).True(errors.Is(err, context.Canceled))
		stands(t, m, ports.ServiceNotInstalled, false)
	})
}
