//go:build windows_real

package statussocket

import (
	"context"
	"runtime"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/ports"
)

// These tests need Windows itself and an administrator's rights.

func forbidden(dir string) ports.StatusClient { return anonymous{NewClient(dir)} }

// anonymous asks as nobody.
type anonymous struct{ *Client }

func (a anonymous) Status(ctx context.Context) (status ports.Status, err error) {
	asAnonymous(func() { status, err = a.Client.Status(ctx) })
	return status, err
}

func (a anonymous) RenewCertificates(ctx context.Context) (result ports.RenewResult, err error) {
	asAnonymous(func() { result, err = a.Client.RenewCertificates(ctx) })
	return result, err
}

func asAnonymous(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	impersonate := windows.NewLazySystemDLL("advapi32.dll").NewProc("ImpersonateAnonymousToken")
	if ok, _, err := impersonate.Call(uintptr(windows.CurrentThread())); ok == 0 {
		panic(err)
	}
	defer func() {
		if err := windows.RevertToSelf(); err != nil {
			panic(err)
		}
	}()
	f()
}

// TestRealTheFirstEndIsTheOnlyFirst shows that a pipe that lets more ends be
// made is none that an agent takes for its own.
func TestRealTheFirstEndIsTheOnlyFirst(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	end, err := newEnd(endpoint(dir), windows.FILE_FLAG_FIRST_PIPE_INSTANCE)
	is.NoErr(err)
	defer windows.CloseHandle(end)
	is.True(NewServer(dir).Serve(t.Context(), ports.LocalCalls{}) != nil)
}

// TestRealThePipeIsClosedToOthers reads back what the pipe was made with.
func TestRealThePipeIsClosedToOthers(t *testing.T) {
	is := is.New(t)
	end, err := newEnd(endpoint(t.TempDir()), windows.FILE_FLAG_FIRST_PIPE_INSTANCE)
	is.NoErr(err)
	defer windows.CloseHandle(end)
	sd, err := windows.GetSecurityInfo(end, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.GROUP_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	is.NoErr(err)
	is.Equal(sd.String(), sddl)
}
