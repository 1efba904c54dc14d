//go:build windows_real

package winservice

import (
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/muster-agent/muster/ports"
)

// These tests need Windows itself and an administrator's rights.

// TestRealSettings reads back what Wine does not know of.
func TestRealSettings(t *testing.T) {
	alone(t)
	is := is.New(t)
	m := service(t, serve)
	for range 2 {
		is.NoErr(m.Install(t.Context()))
		scm, err := connect(windows.SC_MANAGER_CONNECT)
		is.NoErr(err)
		registered, err := scm.OpenService(m.options.Name)
		is.NoErr(err)
		config, err := registered.Config()
		is.NoErr(err)
		is.Equal(config.StartType, uint32(mgr.StartAutomatic))
		is.True(config.DelayedAutoStart)
		is.Equal(config.ServiceStartName, "LocalSystem")
		is.Equal(config.Description, m.options.Description)
		actions, err := registered.RecoveryActions()
		is.NoErr(err)
		is.Equal(actions, recovery)
		reset, err := registered.ResetPeriod()
		is.NoErr(err)
		is.Equal(reset, uint32(24*60*60))
		errorsToo, err := registered.RecoveryActionsOnNonCrashFailures()
		is.NoErr(err)
		is.True(errorsToo)
		is.NoErr(registered.Close())
		is.NoErr(scm.Disconnect())
	}
}

// TestRealRecovery shows that an end with an error, and that of a process that
// is killed, is followed by another start, and an end with 0 by none.
func TestRealRecovery(t *testing.T) {
	alone(t)
	is := is.New(t)
	m := service(t, serve)
	is.NoErr(m.Install(t.Context()))
	is.NoErr(m.Start(t.Context()))
	first, err := m.Status(t.Context())
	is.NoErr(err)
	is.NoErr(exec.CommandContext(t.Context(), "taskkill", "/f", "/pid", strconv.Itoa(first.PID)).Run())
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		again, err := m.Status(t.Context())
		is.NoErr(err)
		if again.State == ports.ServiceRunning && again.PID != first.PID {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not started again: %+v", again)
		}
	}
	is.NoErr(m.Stop(t.Context()))
	stopped := time.Now()
	for time.Since(stopped) < 15*time.Second { // longer than the first action's delay
		st, err := m.Status(t.Context())
		is.NoErr(err)
		is.Equal(st.State, ports.ServiceStopped)
		time.Sleep(100 * time.Millisecond)
	}
}
