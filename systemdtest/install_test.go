//go:build systemd

package systemdtest

import (
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestInstalledWithNothingConfigured(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	s := newService(t)
	said := s.must(0, "dpkg", "-i", insidePrograms+"/muster.deb")
	is.True(strings.Contains(said.out+said.errs, envFile)) // what to write where
	is.Equal(s.must(0, "systemctl", "is-enabled", unit).out, "enabled\n")
	s.stands("inactive (dead)") // it starts only what can work

	s.start()
	s.stands("inactive (dead)") // not "auto-restart"
	is.Equal(s.property("Result"), "success")
	is.Equal(s.property("ExecMainStatus"), "0")
	is.Equal(s.property("NRestarts"), "0")
	s.says("nothing is configured")
	s.says(envFile)

	srv := startServer(t)
	s.atSite(srv).configure().start()
	l := s.connected()
	srv.onlyMachine(1)
	s.lives(l)
}
