package winservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// What this program is started with as a service.
const (
	serve = "serve-until-stopped"
	fail  = "fail"
	rest  = "end-at-once"
)

// TestMain is also the program of the services of these tests.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 {
		os.Exit(m.Run())
	}
	does := func(_ context.Context, s ports.Supervisor) int { return 0 }
	switch os.Args[2] {
	case serve:
		does = func(ctx context.Context, s ports.Supervisor) int {
			if s.Ready() != nil {
				return 1
			}
			<-ctx.Done()
			return 0
		}
	case fail:
		does = func(context.Context, ports.Supervisor) int { return 7 }
	case rest:
	default:
		os.Exit(m.Run())
	}
	if err := Run(os.Args[1], does); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// alone waits until no other test, of whatever program, uses the service control
// manager: Wine's locks itself up when several do.
func alone(t *testing.T) {
	t.Helper()
	name, err := windows.UTF16PtrFromString(filepath.Join(os.TempDir(), "muster-test-services.lock"))
	is.New(t).NoErr(err)
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		lock, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS, windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
		if err == nil {
			t.Cleanup(func() { _ = windows.CloseHandle(lock) })
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("other tests use the service control manager without end: %v", err)
		}
	}
}

var tried atomic.Int32

// service is a service of its own that does one of the above.
func service(t *testing.T, does string) *Manager {
	t.Helper()
	program, err := os.Executable()
	is.New(t).NoErr(err)
	name := fmt.Sprintf("muster-test-%d-%d", os.Getpid(), tried.Add(1))
	m := New(Options{Name: name, DisplayName: name, Description: "A test of Muster", Program: program, Arguments: []string{name, does}})
	t.Cleanup(func() {
		if err := m.Uninstall(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// but is a manager whose service control manager answers so.
func but(m *Manager, answer func(access uint32) error) *Manager {
	return &Manager{options: m.options, connect: func(access uint32) (*mgr.Mgr, error) {
		if err := answer(access); err != nil {
			return nil, err
		}
		return connect(access)
	}}
}

func TestContract(t *testing.T) {
	alone(t)
	contracttest.ServiceManager(t, contracttest.ServiceMachines{
		Fresh:  func(t *testing.T) ports.ServiceManager { return service(t, serve) },
		Broken: func(t *testing.T) ports.ServiceManager { return service(t, fail) },
		Packaged: func(t *testing.T) ports.ServiceManager {
			m := service(t, serve)
			is.New(t).NoErr(m.Install(t.Context()))
			installedByInstaller(t)
			packaged := New(m.options)
			packaged.options.UpgradeCode = upgradeCode
			return packaged
		},
		WithoutRights: func(t *testing.T) ports.ServiceManager {
			return but(service(t, serve), func(access uint32) error {
				if access != windows.SC_MANAGER_CONNECT {
					return windows.ERROR_ACCESS_DENIED
				}
				return nil
			})
		},
		Without: func(t *testing.T) ports.ServiceManager {
			return but(service(t, serve), func(uint32) error { return windows.RPC_S_SERVER_UNAVAILABLE })
		},
	})
}

// An installer of no real program, and how the registry has it.
const (
	upgradeCode   = "{A1B2C3D4-E5F6-0718-293A-4B5C6D7E8F90}"
	packedCode    = "4D3C2B1A6F5E817092A3B4C5D6E7F809"
	packedProduct = "11111111111111111111111111111111"
)

func installedByInstaller(t *testing.T) {
	t.Helper()
	is := is.New(t)
	for _, parent := range []string{
		`SOFTWARE\Classes\Installer\UpgradeCodes\`,                          // Windows
		`SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UpgradeCodes\`, // Wine
	} {
		key, _, err := registry.CreateKey(registry.LOCAL_MACHINE, parent+packedCode, registry.SET_VALUE|registry.WOW64_64KEY)
		is.NoErr(err)
		is.NoErr(key.SetStringValue(packedProduct, ""))
		is.NoErr(key.Close())
		t.Cleanup(func() {
			if err := registry.DeleteKey(registry.LOCAL_MACHINE, parent+packedCode); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAServiceThatHasNothingToDo(t *testing.T) {
	alone(t)
	is := is.New(t)
	m := service(t, rest)
	is.NoErr(m.Install(t.Context()))
	err := m.Start(t.Context())
	is.True(err != nil) // it has ended at once
	is.True(strings.Contains(err.Error(), "nothing for it to do"))
	st, err := m.Status(t.Context())
	is.NoErr(err)
	is.Equal(st, ports.ServiceStatus{State: ports.ServiceStopped, AtBoot: true}) // not failed: it is not restarted
}

func TestHowAServiceEndedIsSaid(t *testing.T) {
	alone(t)
	is := is.New(t)
	m := service(t, fail)
	is.NoErr(m.Install(t.Context()))
	err := m.Start(t.Context())
	is.True(err != nil) // it has failed
	is.True(strings.Contains(err.Error(), "exit code 7"))
	st, err := m.Status(t.Context())
	is.NoErr(err)
	is.Equal(st.Detail, "ended with exit code 7")
	for _, c := range []struct {
		status svc.Status
		state  ports.ServiceState
	}{
		{svc.Status{State: svc.Stopped}, ports.ServiceStopped},
		{svc.Status{State: svc.Stopped, Win32ExitCode: uint32(windows.ERROR_SERVICE_NEVER_STARTED)}, ports.ServiceStopped},
		{svc.Status{State: svc.Stopped, Win32ExitCode: uint32(windows.ERROR_PROCESS_ABORTED)}, ports.ServiceFailed},
		{svc.Status{State: svc.StartPending, ProcessId: 5}, ports.ServiceStarting},
		{svc.Status{State: svc.StopPending, ProcessId: 5}, ports.ServiceStopping},
		{svc.Status{State: svc.Running, ProcessId: 5}, ports.ServiceRunning},
	} {
		is.Equal(state(c.status), c.state)
		is.Equal(pid(c.status) != 0, c.state == ports.ServiceRunning)
	}
}

// TestInstallBringsUpToDate shows what is registered, and that what an older
// version or a person has made of it does not stay.
func TestInstallBringsUpToDate(t *testing.T) {
	alone(t)
	is := is.New(t)
	m := service(t, serve)
	m.options.Program = `C:\Program Files\Muster\muster.exe`
	m.options.Arguments = []string{"run", "--service", "two words"}
	is.NoErr(m.Install(t.Context()))
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Services\`+m.options.Name, registry.QUERY_VALUE|registry.SET_VALUE)
	is.NoErr(err)
	defer key.Close()
	is.NoErr(key.SetStringValue("Description", "another"))
	scm, err := connect(windows.SC_MANAGER_CONNECT)
	is.NoErr(err)
	defer scm.Disconnect()
	registered, err := scm.OpenService(m.options.Name)
	is.NoErr(err)
	other, err := windows.UTF16PtrFromString(`C:\other.exe`)
	is.NoErr(err)
	is.NoErr(windows.ChangeServiceConfig(registered.Handle, windows.SERVICE_WIN32_OWN_PROCESS, windows.SERVICE_DISABLED, windows.SERVICE_ERROR_NORMAL, other, nil, nil, nil, nil, nil, other))
	is.NoErr(registered.Close())

	is.NoErr(m.Install(t.Context()))
	for name, want := range map[string]string{
		"ImagePath":   `"C:\Program Files\Muster\muster.exe" run --service "two words"`,
		"ObjectName":  "LocalSystem",
		"DisplayName": m.options.DisplayName,
		"Description": m.options.Description,
	} {
		got, _, err := key.GetStringValue(name)
		is.NoErr(err)
		is.Equal(got, want)
	}
	start, _, err := key.GetIntegerValue("Start")
	is.NoErr(err)
	is.Equal(start, uint64(windows.SERVICE_AUTO_START))
	source, err := registry.OpenKey(registry.LOCAL_MACHINE, eventSources+`\`+m.options.Name, registry.QUERY_VALUE)
	is.NoErr(err)
	is.NoErr(source.Close())
	is.NoErr(m.Uninstall(t.Context()))
	_, err = registry.OpenKey(registry.LOCAL_MACHINE, eventSources+`\`+m.options.Name, registry.QUERY_VALUE)
	is.True(errors.Is(err, windows.ERROR_FILE_NOT_FOUND))
}

func TestThePathIsQuoted(t *testing.T) {
	is := is.New(t)
	is.Equal(Options{Program: `C:\muster.exe`, Arguments: []string{"run", "--service"}}.commandLine(), `"C:\muster.exe" run --service`)
}
