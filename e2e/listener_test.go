package e2e

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestAnAddressInUseIsWaitedForAndDisturbsNothingElse(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.atManager(s)
	m.hasty()
	p := closedPort(t)
	taken := p.listen()
	defer taken.Close()
	m.env["MUSTER_LISTEN_ADDR"] = p.addr

	a := m.start().connected()
	failed := a.waited("listener.failed", 3)
	is.Equal(failed.Class, "transient")
	st := m.is("blocked")
	is.Equal(st.code, 1)
	is.Equal(st.Relay.State, "connected")
	is.Equal(st.Enrollment.Manager.State, "approved")
	is.Equal(st.Certificate.Status, "valid")
	is.Equal(st.Listener.Addr, "")
	is.True(strings.Contains(st.Blocked, p.addr))
	if runtime.GOOS == "linux" { // who holds it; for a moment it may be a child that another test has forked, too
		m.stands(func(st status) bool { return strings.Contains(st.Blocked, fmt.Sprint(os.Getpid())) })
	}
	is.True(strings.Contains(failed.Msg, p.addr))
	a.runs()

	is.NoErr(taken.Close())
	a.await("listening", 1, func(l line) bool { return l.Addr == p.addr })
	st = m.is("connected")
	is.Equal(st.Blocked, "")
	is.Equal(st.Listener.Addr, p.addr)
	if _, err := ask(m.peer(), p.addr); err != nil {
		t.Error(err)
	}
	is.Equal(s.connections(), 1) // the relay noticed nothing
	is.Equal(s.enrollments(), 1)

	// The address is free again as soon as the agent has ended, even killed
	// with a connection open.
	client := m.peer()
	_, err := ask(client, p.addr)
	is.NoErr(err)
	a.kill()
	a = m.start()
	is.Equal(a.listening(), p.addr)
	client.CloseIdleConnections()
}

func TestWithTheListenerOffNothingListens(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newHost(t, s)
	m.env["MUSTER_LISTEN_ADDR"] = "off"
	a := m.start()
	a.logged("certs.installed", 1)
	is.Equal(m.is("serving").Listener.Addr, "")
	lines, _ := a.log.lines("listening")
	is.Equal(len(lines), 0)
}
