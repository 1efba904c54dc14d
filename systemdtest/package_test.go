//go:build systemd

package systemdtest

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestPackageFromItsInstallationToItsPurge(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	const first, next = insidePrograms + "/muster.deb", insidePrograms + "/muster-next.deb"
	s := install(t).atSite(srv).configure().start()
	l := s.connected()
	before := s.status()

	// An upgrade restarts a service that runs.
	s.must(0, "dpkg", "-i", next)
	again := s.connected()
	is.True(again.pid != l.pid) // another process
	after := s.status()
	is.Equal(after.AgentID, before.AgentID)
	is.Equal(after.Credential.Fingerprint, before.Credential.Fingerprint)
	srv.onlyMachine(1)
	s.lives(again)

	// One that an operator stopped stays stopped, one that was disabled stays
	// disabled.
	s.stop()
	s.must(0, "systemctl", "disable", unit)
	s.must(0, "dpkg", "-i", next)
	s.stands("inactive (dead)")
	is.Equal(s.must(1, "systemctl", "is-enabled", unit).out, "disabled\n")

	// A removal ends the service; state and configuration stay, and serve the
	// package when it is back.
	s.start()
	l = s.connected()
	s.must(0, "dpkg", "-r", "muster")
	is.Equal(s.property("LoadState"), "not-found")
	_, err := os.Stat("/proc/" + strconv.Itoa(l.pid))
	is.True(os.IsNotExist(err))
	_, err = os.Stat(credentialFile)
	is.NoErr(err)
	said := s.must(0, "dpkg", "-i", first)
	is.True(!strings.Contains(said.out+said.errs, "not started"))
	s.connected() // what is configured is started
	is.Equal(s.status().AgentID, before.AgentID)
	srv.onlyMachine(1)
	is.Equal(srv.requests(enrollPath), 1)

	s.must(0, "dpkg", "-P", "muster")
	is.Equal(s.property("LoadState"), "not-found")
	for _, gone := range []string{stateDir, "/etc/muster", "/usr/bin/muster"} {
		_, err := os.Stat(gone)
		is.True(os.IsNotExist(err))
	}
}

func TestPackageOverABadConfiguration(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	s := newService(t)
	is.NoErr(os.MkdirAll("/etc/muster", 0o755))
	is.NoErr(os.WriteFile(envFile, []byte("MUSTER_SERVER_URL=ftp://server.example\n"), 0o600))
	r := s.must(0, "dpkg", "-i", insidePrograms+"/muster.deb") // the installation does not fail
	said := r.out + r.errs
	is.True(strings.Contains(said, "MUSTER_SERVER_URL"))
	is.True(strings.Contains(said, "not started"))
	s.stands("inactive (dead)")
	is.Equal(s.property("NRestarts"), "0")
}

// A service that waits for its next start takes the new version, too.
func TestUpgradeBetweenTwoStarts(t *testing.T) {
	if !booted(t) {
		return
	}
	srv := startServer(t)
	s := install(t).atSite(srv)
	s.env["MUSTER_SERVER_URL"] = "ftp://server.example"
	s.configure()
	s.must(1, "systemctl", "start", unit)
	s.stands("activating (auto-restart)")
	s.atSite(srv).configure()
	s.must(0, "dpkg", "-i", insidePrograms+"/muster-next.deb")
	s.connected()
	srv.onlyMachine(1)
}
