//go:build systemd

package systemdtest

import (
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

// A panic ends the agent with SIGABRT, not with a code that means something
// else; and the shipped values start it again.
func TestCrashWithTheShippedValues(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv).configure().start()
	l := s.connected()
	began := time.Now()
	is.NoErr(syscall.Kill(l.pid, syscall.SIGABRT))
	s.stands("activating (auto-restart)")
	is.Equal(s.property("Result"), "signal")
	is.Equal(s.property("ExecMainStatus"), "6") // SIGABRT
	s.eventually(func() string {
		if s.property("NRestarts") != "1" || s.property("SubState") != "running" {
			return "it is not restarted"
		}
		return ""
	})
	is.True(time.Since(began) >= 10*time.Second) // RestartSec=
	s.connected()
	srv.onlyMachine(1)
	is.Equal(srv.requests(enrollPath), 1)
}
