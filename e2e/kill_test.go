package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
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
				m := newMachine(t, s).hasty()

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
