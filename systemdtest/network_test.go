//go:build systemd

package systemdtest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/matryer/is"
)

// manyAttempts is how often an agent tries in vain in these tests.
const manyAttempts = 200

// quickest are the least delays that may be configured, for many attempts.
const quickestMin, quickestMax = 10 * time.Millisecond, 20 * time.Millisecond

// absentURL is where there is no server yet; on loopback, so that it may speak
// plain HTTP and has no CA that would have to be known before.
const absentURL = "http://127.0.0.1:8443"

func init() {
	beforeBoot["TestServerDownFromBoot"] = func() error {
		out, err := exec.Command("dpkg", "--force-unsafe-io", "-i", insidePrograms+"/muster.deb").CombinedOutput()
		if err != nil {
			return fmt.Errorf("dpkg: %w\n%s", err, out)
		}
		env := quickEnv(quickestMin, quickestMax)
		maps.Copy(env, siteEnv(absentURL, ""))
		return writeEnv(env)
	}
}

func TestServerDownFromBoot(t *testing.T) {
	if !booted(t) {
		return
	}
	s := newService(t)
	s.stands("active (running)") // nobody but the boot has started it
	l := s.triesInVain()
	srv := startServer(t, "--addr", "127.0.0.1:8443", "--tls", "off")
	s.is("connected")
	srv.onlyMachine(1)
	s.lives(l)
}

// triesInVain waits for many attempts to enroll, all of one process.
func (s *service) triesInVain() life {
	s.t.Helper()
	l := s.life()
	s.logged("enroll.retry", 1, func(l line) bool { return l.Attempt >= manyAttempts })
	s.lives(l)
	if starts := len(s.events("starting")); starts != 1 {
		s.t.Fatalf("%d processes were started", starts)
	}
	s.tells("enrolling: ")
	return l
}

func TestNameThatDoesNotResolve(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t, "--addr", "127.0.0.1:8443")
	is.NoErr(os.Rename("/etc/hosts", "/etc/hosts.away"))
	s := install(t).quick(quickestMin, quickestMax).atSite(srv)
	s.env["MUSTER_SERVER_URL"] = "https://localhost:8443" // a name of the server's certificate
	s.configure().start()
	l := s.triesInVain()
	s.tells("DNS could not find localhost")
	is.Equal(srv.requests(enrollPath), 0)

	is.NoErr(os.Rename("/etc/hosts.away", "/etc/hosts"))
	s.is("connected")
	srv.onlyMachine(1)
	s.lives(l)
}

func TestNoRoute(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	// An address for documentation (RFC 5737), which the machine has, then has
	// not, and has again.
	address := func(what string) {
		out, err := exec.Command("ip", "address", what, "192.0.2.1/32", "dev", "lo").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	address("add")
	srv := startServer(t, "--addr", "192.0.2.1:8443")
	address("del")
	s := install(t).quick(quickestMin, quickestMax).atSite(srv).configure().start()
	l := s.triesInVain()
	s.tells("network is unreachable")

	address("add")
	s.is("connected")
	srv.onlyMachine(1)
	s.lives(l)
	is.Equal(srv.requests(enrollPath), 1)
}
