package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestAMachineKilledAtAnyMomentOfItsFirstEnrollmentEndsConnected(t *testing.T) {
	t.Parallel()
	const lanes = 4 // that many machines enroll beside each other
	s := startServer(t)
	for lane := range lanes {
		t.Run(fmt.Sprint("lane ", lane+1), func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := s.of(t)
			moments := map[string]int{} // how far it had come when it was killed
			for killed := 0; killed < kills/lanes; {
				m := newMachine(t, s)
				m.delays(10*time.Millisecond, 20*time.Millisecond)

				// How long an enrollment takes here and now.
				began := time.Now()
				whole := m.twin()
				whole.env["MUSTER_MACHINE_UID"] = randomUID()
				a := whole.launch()
				a.connected()
				took := time.Since(began)
				a.kill()

				id := ""
				for ; killed < kills/lanes && !m.stored(); killed++ {
					a := m.launch()
					time.Sleep(rand.N(took * 5 / 4)) // the random moment
					a.kill()
					moments[m.newest()]++
					if _, err := os.Stat(m.path(identityFile)); err == nil {
						if id != "" {
							is.Equal(m.agentID(), id) // who it is never changes once it is stored
						}
						id = m.agentID()
					}
				}

				a = m.launch()
				a.connected()
				s.joined(m)
				a.kill()
				if id != "" {
					is.Equal(m.agentID(), id)
				}
				is.Equal(m.setAside(), nil) // a kill damages nothing
				if t.Failed() {
					t.Log(a.log.tail())
				}
			}
			t.Logf("killed at: %v", moments)
		})
	}
}

// newest is the file that an enrollment has come to, in the order in which it
// makes them.
func (m *machine) newest() string {
	for _, name := range []string{credentialFile, credentialFile + ".new", retryFile, retryFile + ".new", identityFile, identityFile + ".new", lockFile} {
		if _, err := os.Stat(m.path(name)); err == nil {
			return name
		}
	}
	return "nothing"
}

func TestRestartsDoNotAskMoreOften(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	s.refuse(401)
	m := newMachine(t, s)
	m.shippedDelays()
	const (
		pause = 10 * time.Second // 2 × the first transient delay: docs/SPEC.md, "Stop and restart"
		every = time.Second
	)
	a := m.start()
	a.logged("enroll.rejected", 1)
	a.kill()
	restarts := 1
	for began := time.Now(); s.enrollments() < 2; restarts++ {
		if time.Since(began) > pause+patience {
			t.Fatal("it does not ask again at all")
		}
		a := m.launch()
		a.logged("starting", 1)
		time.Sleep(every) // the crash loop's pace
		a.kill()
	}
	tries := s.requestsTo(enrollPath)
	is.Equal(len(tries), 2)
	if gap := tries[1].Time.Sub(tries[0].Time); gap < pause {
		t.Errorf("two requests within %v, over %d restarts", gap, restarts)
	}
	is.True(restarts >= 3) // a busy machine may take seconds for one

	// What it was told survives, too: the status knows it from disk.
	st := m.status()
	is.Equal(st.State, "stopped")
	is.Equal(st.Enrollment.Site.State, "rejected")
	is.True(strings.Contains(st.Enrollment.Site.LastError, "MUSTER_ENROLLMENT_KEY"))
}

func TestTheCountOfFailuresOutlivesARestart(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	s.refuse(503)
	m := newMachine(t, s)
	m.delays(10*time.Millisecond, time.Hour) // each wait twice the one before
	a := m.start()
	first := a.logged("enroll.retry", 4)
	is.Equal(first.Attempt, 4)
	a.kill()
	lines, _ := a.log.lines("enroll.retry")
	a = m.start()
	is.True(a.logged("enroll.retry", 1).Attempt > len(lines))

	// A changed configuration starts from nothing.
	a.kill()
	m.env["MUSTER_ENROLLMENT_KEY"] = "cek_anotherKeyAnotherKey"
	a = m.start()
	is.Equal(a.logged("enroll.retry", 1).Attempt, 1)
}
