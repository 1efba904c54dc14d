//go:build systemd

package systemdtest

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestToldToStopItStaysStopped(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv).configure().restartAtOnce()
	for name, end := range map[string]func(){
		"systemctl stop": s.stop,
		"SIGTERM":        func() { is.NoErr(syscall.Kill(s.life().pid, syscall.SIGTERM)) },
		"SIGINT":         func() { is.NoErr(syscall.Kill(s.life().pid, syscall.SIGINT)) },
	} {
		s.start()
		s.connected()
		end()
		s.stands("inactive (dead)") // not "auto-restart"
		is.Equal(s.property("Result"), "success")
		is.Equal(s.property("ExecMainStatus"), "0")
		is.Equal(s.property("NRestarts"), "0")
		t.Log(name)
	}
}

func TestBadConfigurationIsTriedFiveTimes(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv)
	s.env["MUSTER_SERVER_URL"] = "ftp://server.example"
	s.configure()
	began := time.Now()
	s.must(1, "systemctl", "start", unit) // with the shipped values
	eventuallyWithin(t, 2*patience, func() string {
		if s.property("ActiveState") == "failed" {
			return ""
		}
		return "systemd goes on: " + s.property("SubState")
	})
	is.True(time.Since(began) >= 4*10*time.Second) // RestartSec=10s
	is.Equal(s.property("ExecMainStatus"), "1")
	s.says("Start request repeated too quickly") // the last line of it
	is.Equal(strings.Count(s.journal(), "status=1/FAILURE\n"), 5)
	s.says("MUSTER_SERVER_URL")

	s.atSite(srv).configure()
	s.must(0, "systemctl", "reset-failed", unit)
	s.start()
	l := s.connected()
	srv.onlyMachine(1)
	s.lives(l)
}
