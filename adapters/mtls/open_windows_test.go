package mtls

import (
	"net"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"
)

// TestNobodyElseGetsTheAddress shows that another socket, which asks to share
// the address, does not get it, and that the address is free afterwards.
func TestNobodyElseGetsTheAddress(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	config := net.ListenConfig{Control: exclusive}
	held, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	is.NoErr(err)
	// Wine keeps others off in any case: there it is the option that tells.
	raw, err := held.(*net.TCPListener).SyscallConn()
	is.NoErr(err)
	is.NoErr(raw.Control(func(fd uintptr) {
		set, err := windows.GetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, soExclusiveAddrUse)
		is.NoErr(err)
		is.True(set != 0)
	}))
	port := held.Addr().(*net.TCPAddr).Port

	thief, err := windows.Socket(windows.AF_INET, windows.SOCK_STREAM, windows.IPPROTO_TCP)
	is.NoErr(err)
	defer windows.Closesocket(thief)
	is.NoErr(windows.SetsockoptInt(thief, windows.SOL_SOCKET, windows.SO_REUSEADDR, 1))
	for _, address := range [][4]byte{{127, 0, 0, 1}, {0, 0, 0, 0}} {
		err := windows.Bind(thief, &windows.SockaddrInet4{Port: port, Addr: address})
		if err == nil || !isAddressInUse(err) {
			t.Errorf("binding %v beside the listener: %v", address, err)
		}
	}
	is.NoErr(held.Close())
	again, err := config.Listen(t.Context(), "tcp", held.Addr().String())
	is.NoErr(err)
	is.NoErr(again.Close())
}
