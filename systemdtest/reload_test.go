//go:build systemd

package systemdtest

import (
	"testing"

	"github.com/matryer/is"
)

func TestReload(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv, other := startServer(t), startServer(t, "--ca-out", "/etc/other-ca.pem")
	s := install(t).atSite(srv).configure().start()
	l := s.connected()
	reload := func() {
		t.Helper()
		s.must(0, "systemctl", "reload", unit)
		s.runs()
		s.lives(l)
	}

	reload() // nothing has changed
	s.says("nothing has changed")
	is.Equal(srv.requests(relayPath), 1)

	// Another server: the same process goes there.
	s.atSite(other).configure()
	reload()
	other.onlyMachine(1)
	s.is("connected")
	s.lives(l)
	s.eventually(func() string {
		for _, m := range srv.State().Machines {
			if m.Connected {
				return "it is still connected to the first server"
			}
		}
		return ""
	})
	is.Equal(len(s.events("starting")), 1)
}
