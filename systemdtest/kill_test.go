//go:build systemd

package systemdtest

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

// certLifetime is short, so that renewals fall into a test's time, and long
// beside what an agent that is killed all the time needs for one: a certificate
// that is over would have to be asked for as by a new host.
const certLifetime = 30 * time.Second

func TestKilledFiftyTimes(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))

	srv := startServer(t, "--cert-lifetime", certLifetime.String())
	s := install(t).atSite(srv).atManager(srv).configure().restartAtOnce().start()
	s.connected()
	before := s.status()
	issued := srv.certificates()
	is.Equal(issued, 1)

	for kills, last := 0, 0; kills < 50; {
		time.Sleep(time.Duration(chance.Int64N(int64(800 * time.Millisecond))))
		// Whatever it is about: starting, connecting, renewing.
		if pid := s.pid(); pid != 0 && pid != last && syscall.Kill(pid, syscall.SIGKILL) == nil {
			last = pid
			kills++
		}
	}
	killed := time.Now()

	s.runs()
	st := s.is("connected")
	is.Equal(st.Certificate.Status, "valid")
	is.Equal(st.Listener.Addr, listenAddr)
	is.Equal(st.AgentID, before.AgentID)
	is.Equal(st.Credential.Fingerprint, before.Credential.Fingerprint)
	srv.onlyMachine(1)
	is.Equal(srv.requests(enrollPath), 1)
	is.Equal(len(srv.state().Enrollments), 1)
	is.True(s.life().restarts >= 50)
	s.belongsToTheService()
	t.Logf("%d certificates by %v after the last kill", srv.certificates(), time.Since(killed))
	s.eventually(func() string {
		if srv.certificates() == issued {
			return "it is not renewed"
		}
		return ""
	})
	is.Equal(len(srv.state().Enrollments), 1)
}

func TestHangIsSeenByTheWatchdog(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	const watchdog = 5 * time.Second
	s := install(t).atSite(srv).configure().restartAtOnce("WatchdogSec=" + watchdog.String()).start()
	l := s.connected()
	is.NoErr(syscall.Kill(l.pid, syscall.SIGSTOP))
	s.eventually(func() string {
		if s.property("NRestarts") != "1" {
			return "systemd has not restarted it"
		}
		return ""
	})
	s.says("Watchdog timeout")
	s.runs()
	s.connected()
	srv.onlyMachine(1)

	// Left alone it is not taken for hung.
	again := s.life()
	for began := time.Now(); time.Since(began) < 2*watchdog; time.Sleep(100 * time.Millisecond) {
		is.Equal(s.life(), again)
	}
	is.True(again.pid != l.pid)
}
