//go:build systemd

package systemdtest

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

// certLifetime is short, so that renewals fall into a test's time, and long
// beside what an agent that is killed all the time needs for one: a certificate
// that is over would have to be asked for as by a new host. So the kills pause
// where only lastPart of it is left.
const (
	certLifetime = 60 * time.Second
	lastPart     = certLifetime / 4
)

// certificateLeft is how much of the life of the certificate on disk is left.
func (s *service) certificateLeft() time.Duration {
	s.t.Helper()
	text, err := os.ReadFile(stateDir + "/certs/server.pem")
	if err != nil {
		s.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		s.t.Fatal("server.pem is damaged")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	return time.Until(leaf.NotAfter)
}

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
		s.eventually(func() string {
			if left := s.certificateLeft(); left < lastPart {
				return fmt.Sprintf("left alone it does not renew its certificate, which is over in %v", left)
			}
			return ""
		})
	}
	killed := time.Now()

	s.runs()
	st := s.reaches(func(st status) bool {
		return st.State == "connected" && st.Certificate.Status == "valid" && st.Listener.Addr == listenAddr
	})
	is.Equal(st.AgentID, before.AgentID)
	is.Equal(st.Credential.Fingerprint, before.Credential.Fingerprint)
	srv.onlyMachine(1)
	is.Equal(srv.requests(enrollPath), 1)
	is.Equal(len(srv.State().Enrollments), 1)
	is.True(s.life().restarts >= 50) // every kill was one of a service
	s.belongsToTheService()
	t.Logf("%d certificates by %v after the last kill", srv.certificates(), time.Since(killed))
	s.eventually(func() string {
		if srv.certificates() == issued {
			return "it is not renewed"
		}
		return ""
	})
	is.Equal(len(srv.State().Enrollments), 1)
}

func TestHangIsSeenByTheWatchdog(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	const watchdog = 15 * time.Second // a busy machine may keep it from its half of that for seconds
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
	is.True(again.pid != l.pid) // another process
}
