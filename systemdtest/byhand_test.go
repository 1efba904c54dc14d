//go:build systemd

package systemdtest

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

func TestServiceOfAProgramCopiedByHand(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := newService(t)
	s.program = "/usr/local/bin/muster"
	s.must(0, "install", "-m", "0755", insidePrograms+"/muster", s.program)
	is.True(strings.Contains(s.must(1, s.program, "service", "status").out, "not_installed"))
	s.must(1, s.program, "service", "start")

	s.must(0, s.program, "service", "install")
	s.must(0, s.program, "service", "install") // once more is no harm
	is.Equal(s.must(0, "systemctl", "is-enabled", unit).out, "enabled\n")
	s.stands("inactive (dead)")
	r := s.must(0, "systemd-analyze", "verify", s.property("FragmentPath"))
	is.Equal(r.out+r.errs, "")

	s.atSite(srv).configure()
	s.must(0, s.program, "service", "start")
	l := s.connected()
	srv.onlyMachine(1)
	is.True(strings.Contains(s.must(0, s.program, "service", "status").out, "running"))
	program, err := os.Readlink("/proc/" + strconv.Itoa(l.pid) + "/exe")
	is.NoErr(err)
	is.Equal(program, s.program)
	s.lives(l)

	s.restartAtOnce()
	is.NoErr(syscall.Kill(l.pid, syscall.SIGKILL))
	s.eventually(func() string {
		if pid := s.pid(); pid == 0 || pid == l.pid {
			return "it is not restarted"
		}
		return ""
	})
	s.connected()
	srv.onlyMachine(1)

	s.must(0, s.program, "service", "stop")
	s.stands("inactive (dead)")
	s.must(0, s.program, "service", "start")
	s.must(0, s.program, "service", "uninstall")
	is.True(strings.Contains(s.must(1, s.program, "service", "status").out, "not_installed"))
	_, err = os.Stat(credentialFile)
	is.NoErr(err) // state and configuration stay
	_, err = os.Stat(envFile)
	is.NoErr(err)
	is.Equal(srv.requests(enrollPath), 1)
}

func TestServiceOfAPackageIsLeftToIt(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv).configure().start()
	l := s.connected()
	for _, command := range []string{"install", "uninstall"} {
		r := s.must(1, muster, "service", command)
		is.True(strings.Contains(r.errs, "package"))
	}
	s.lives(l)
	is.True(strings.Contains(s.must(0, muster, "service", "status").out, "running"))
}
