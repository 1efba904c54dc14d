package mtls

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestAddressHeldByThisProcess(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	held, err := net.Listen("tcp", "127.0.0.1:0")
	is.NoErr(err)
	defer held.Close()
	_, port, err := net.SplitHostPort(held.Addr().String())
	is.NoErr(err)
	name, err := os.ReadFile("/proc/self/comm")
	is.NoErr(err)
	for _, addr := range []string{held.Addr().String(), ":" + port, "localhost:" + port} {
		var inUse *ports.AddressInUseError
		ok := false
		// For a moment it may be a child, too, that another test has forked.
		for deadline := time.Now().Add(patience); (!ok || inUse.PID != os.Getpid()) && time.Now().Before(deadline); {
			err = NewListener(Options{Holder: new(Holder)}).Serve(t.Context(), addr, noHealth, func(string) { t.Error("opened") })
			inUse, ok = errors.AsType[*ports.AddressInUseError](err)
			is.True(ok)
		}
		is.True(errors.Is(err, ports.ErrAddressInUse))
		is.Equal(*inUse, ports.AddressInUseError{Addr: addr, PID: os.Getpid(), Process: string(name[:len(name)-1])})
		is.Equal(err.Error(), fmt.Sprintf("listening on %s: the address is in use by process %d (%s): stop it, or set MUSTER_LISTEN_ADDR to another address", addr, inUse.PID, inUse.Process))
	}
}

func TestHolderInATree(t *testing.T) {
	t.Parallel()
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	const rest = " 00000000:00000000 00:00000000 00000000     0        0 "
	is := is.New(t)
	root := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(root, "proc", name)
		is.NoErr(os.MkdirAll(filepath.Dir(path), 0o755))
		is.NoErr(os.WriteFile(path, []byte(content), 0o644))
	}
	open := func(pid, fd int, what string) {
		dir := filepath.Join(root, "proc", strconv.Itoa(pid), "fd")
		is.NoErr(os.MkdirAll(dir, 0o755))
		is.NoErr(os.Symlink(what, filepath.Join(dir, strconv.Itoa(fd))))
	}
	write("net/tcp", head+
		"   0: 0100007F:1F90 00000000:0000 0A"+rest+"1001 1 0 100 0\n"+ // 127.0.0.1:8080
		"   1: 0100007F:1F91 0100007F:9999 01"+rest+"1002 1 0 100 0\n"+ // a connection
		"   2: 00000000:1F92 00000000:0000 0A"+rest+"1003 1 0 100 0\n"+ // 0.0.0.0:8082
		"   3: 0100007F:1F93 00000000:0000 0A"+rest+"1004 1 0 100 0\n"+ // 127.0.0.1:8083, of nobody who can be seen
		"   4: garbage\n   5: 01:1F90 00000000:0000 0A"+rest+"1005 1 0\n")
	write("net/tcp6", head+
		"   0: 00000000000000000000000000000000:1F94 00000000000000000000000000000000:0000 0A"+rest+"1006 1\n"+ // [::]:8084
		"   1: B80D0120000000000000000001000000:1F95 00000000000000000000000000000000:0000 0A"+rest+"1007 1\n") // [2001:db8::1]:8085
	write("9/comm", "nginx\n")
	write("10/comm", "nginx: worker\n")
	write("77/comm", "postgres\n")
	open(10, 3, "socket:[1001]")
	open(9, 3, "/dev/null")
	open(9, 12, "socket:[1001]")
	open(9, 13, "socket:[1006]")
	open(77, 3, "socket:[1003]")
	open(77, 4, "socket:[1007]")
	open(78, 4, "socket:[1002]") // has no name, and does not listen

	for addr, want := range map[string]string{
		"127.0.0.1:8080":     "9 nginx",
		"0.0.0.0:8080":       "9 nginx",
		"[::]:8080":          "9 nginx",
		"127.0.0.2:8080":     "0 ",
		"127.0.0.1:8081":     "0 ",
		"192.0.2.1:8082":     "77 postgres",
		"127.0.0.1:8083":     "0 ",
		"127.0.0.1:8084":     "9 nginx",
		"[2001:db8::1]:8085": "77 postgres",
		"[2001:db8::2]:8085": "0 ",
	} {
		pid, name := holderOf(root, netip.MustParseAddrPort(addr))
		if got := fmt.Sprintf("%d %s", pid, name); got != want {
			t.Errorf("%s: got %q, want %q", addr, got, want)
		}
	}
	pid, _ := holderOf(t.TempDir(), netip.MustParseAddrPort("127.0.0.1:8080"))
	is.Equal(pid, 0)
}
