//go:build systemd

package systemdtest

import (
	"regexp"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestApprovalAfterTheStartTimeout(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	const timeout = 10 * time.Second // a busy machine may take seconds to start it
	srv := startServer(t, "--approve", "manual")
	s := install(t).atManager(srv).configure().dropIn("TimeoutStartSec=" + timeout.String())
	began := time.Now()
	s.start()
	l := s.life()
	id := srv.Registered(1).ID
	s.is("pending")

	waiting := regexp.MustCompile(`Status: "waiting for an operator's approval since \d\d:\d\d(, next check .*)?"`)
	s.eventually(func() string {
		said := s.do("systemctl", "status", "--lines=0", unit)
		switch {
		case !waiting.MatchString(said.out):
			return "the waiting line is missing: " + said.String()
		case time.Since(began) < 2*timeout:
			return "the start timeout is not over"
		}
		return ""
	})
	s.lives(l)
	is.Equal(s.property("ActiveState"), "active")

	srv.Decide(id, "approve")
	s.is("serving")
	s.lives(l)
	s.tells("serving with a")
}
