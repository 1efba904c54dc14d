package statussocket

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// forbidden is a caller without rights on the state directory. For an ordinary
// user, who can keep itself out only of a socket that is there, it is one of a
// directory that it may not enter.
func forbidden(t *testing.T, dir string) ports.StatusClient {
	t.Helper()
	if os.Geteuid() == 0 {
		return stranger{NewClient(dir)}
	}
	locked := t.TempDir()
	is.New(t).NoErr(os.Chmod(locked, 0))
	t.Cleanup(func() { _ = os.Chmod(locked, 0o700) }) // so that it can be removed
	return NewClient(locked)
}

// stranger asks with the rights of the user nobody, for this thread's file
// accesses only.
type stranger struct{ *Client }

func (s stranger) Status(ctx context.Context) (status ports.Status, err error) {
	asNobody(func() { status, err = s.Client.Status(ctx) })
	return status, err
}

func (s stranger) RenewCertificates(ctx context.Context) (result ports.RenewResult, err error) {
	asNobody(func() { result, err = s.Client.RenewCertificates(ctx) })
	return result, err
}

func asNobody(f func()) {
	const nobody = 65534 // the overflow user id of every distribution
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		panic(err)
	}
	defer func() {
		if err := syscall.Setfsuid(0); err != nil {
			panic(err)
		}
	}()
	f()
}
