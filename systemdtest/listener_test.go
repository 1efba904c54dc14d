//go:build systemd

package systemdtest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

func TestRestartBindsAtOnce(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atManager(srv).configure().restartAtOnce().start()
	s.listens()
	for n, restart := range []func(){
		func() { s.must(0, "systemctl", "restart", unit) },
		func() { is.NoErr(syscall.Kill(s.life().pid, syscall.SIGKILL)) },
	} {
		// Whoever closes first is left with the port in TIME_WAIT: the agent,
		// which ends while its peers hold their connections.
		var open []net.Conn
		for range 5 {
			conn, err := net.Dial("tcp", listenAddr)
			is.NoErr(err)
			defer conn.Close()
			open = append(open, conn)
		}
		pid := s.life().pid
		restart()
		s.logged("listening", 2*n+2, func(l line) bool { return l.Addr == listenAddr })
		s.listens()
		is.True(s.life().pid != pid) // another process
		for _, conn := range open {
			is.NoErr(conn.Close())
		}
		s.eventually(func() string {
			if waiting := sockets(t, timeWait, 12443); waiting == 0 {
				return "no socket of the port is in TIME_WAIT"
			}
			return ""
		})
		s.must(0, "systemctl", "restart", unit)
		s.listens()
		if sockets(t, timeWait, 12443) == 0 {
			t.Error("the port's TIME_WAIT was over before it was bound")
		}
		s.logged("listening", 2*n+3, func(l line) bool { return l.Addr == listenAddr })
	}
	for _, l := range s.events("listener.failed") {
		t.Errorf("it had to wait for the port: %s", l.Msg)
	}
}

// listens waits until the agent serves, and listens.
func (s *service) listens() {
	s.t.Helper()
	s.reaches(func(st status) bool { return st.State == "serving" && st.Listener.Addr == listenAddr })
}

const timeWait = "06" // TCP_TIME_WAIT, as /proc/net/tcp writes it

// sockets counts those in a state, by their local port.
func sockets(t *testing.T, state string, port int) int {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for row := range strings.Lines(string(table)) {
		fields := strings.Fields(row)
		if len(fields) > 3 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) && fields[3] == state {
			n++
		}
	}
	return n
}
