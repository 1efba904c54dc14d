package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
)

// killed is what kills brought about.
type killed struct {
	kills     int
	conflicts []string // the steps after which the manager had forgotten a bundle that nobody had
	steps     []string
}

// step is where an agent was killed.
type step struct {
	at       string
	received bool // a bundle was on disk
}

// killAtChange runs the machine's agent, kills it at the n-th change to a file
// of its enrollment, and returns that change; the zero step if it comes to log
// the last event of what it is about. From when it listens it must serve.
func (m *machine) killAtChange(n int, last string) step {
	m.t.Helper()
	var killed atomic.Bool
	struck, started := make(chan step, 1), make(chan *agent, 1)
	count, received := 0, false
	stop := watch(m.t, func(c change) {
		// The bundle has its name on disk; or something was installed, for
		// which it must have had one.
		received = received || c.what == "name bundle.json" || c.folder == "certs"
		if count++; count == n {
			killed.Store(true)
			_ = (<-started).cmd.Process.Kill() // it is what it is about
			struck <- step{fmt.Sprint(n, " ", c.what), received}
		}
	}, m.enrolling()...)
	defer stop()
	running := m.launch()
	started <- running
	served := false
	deadline := time.After(patience)
	for {
		lines, changed := running.log.lines(last)
		if up, _ := running.log.lines("listening"); len(up) > 0 && !served {
			served = true
			if _, err := ask(m.peer(), up[0].Addr); err != nil && !killed.Load() {
				m.t.Errorf("before step %d a peer is not answered: %v\n%s", n, err, running.log.tail())
			}
		}
		var over <-chan time.Time
		if len(lines) > 0 { // what it does to its files after that is over soon
			over = time.After(500 * time.Millisecond)
		}
		select {
		case at := <-struck:
			<-running.end
			return at
		case <-over:
			running.kill()
			return step{}
		case <-changed:
		case <-deadline:
			running.kill()
			m.t.Fatalf("it comes neither to step %d nor to log %s\n%s", n, last, running.log.tail())
		}
	}
}

// endsServing starts the machine's agent for good. If the one moment that no
// agent can close was hit, the manager's operator approves the host again; it
// reports whether that was so.
func (m *machine) endsServing(s *server, before int, killed step) (conflict bool) {
	m.t.Helper()
	at := killed.at
	a := m.launch()
	defer a.kill()
	eventually(m.t, func() string {
		if lines, _ := a.log.lines("listening"); len(lines) > 0 {
			return ""
		}
		lines, _ := a.log.lines("enroll.rejected")
		if conflict || len(lines) == 0 {
			return fmt.Sprintf("killed at %q it does not serve again:\n%s", at, a.log.tail())
		}
		conflict = true
		if killed.received {
			m.t.Errorf("killed at %q: a bundle that was on disk is lost", at)
		}
		if !strings.Contains(lines[0].Msg, "remove or re-approve this host at the manager") {
			m.t.Errorf("killed at %q: %s", at, lines[0].Msg)
		}
		if got := m.status(); got.State != "blocked" || got.Enrollment.Manager.State != "conflict" {
			m.t.Errorf("killed at %q: the status is %+v", at, got)
		}
		hosts := s.Hosts()
		s.Decide(hosts[len(hosts)-1].ID, "approve")
		return "wait"
	})
	a.serves()
	want := 1
	if conflict {
		want = 2
	}
	hosts := s.Hosts()
	if got := len(hosts) - before; got != want {
		m.t.Errorf("killed at %q: %d registrations, not %d\n%s", at, got, want, a.log.tail())
	}
	if got := hosts[len(hosts)-1]; len(got.Certificates) != 1 {
		m.t.Errorf("killed at %q: %d certificates were issued\n%s", at, len(got.Certificates), a.log.tail())
	}
	eventually(m.t, func() string {
		if m.has(bundleFile) || m.has(csrKeyFile) || len(m.previous()) > 0 {
			return fmt.Sprintf("killed at %q: something is left of the installation", at)
		}
		return ""
	})
	m.settled()
	s.Decide(hosts[len(hosts)-1].ID, "remove") // the same name for the next
	return conflict
}

func TestAHostKilledAtEachStepOfItsEnrollmentEndsServing(t *testing.T) {
	t.Parallel()
	const lanes = 4
	results := make(chan killed, lanes)
	var last atomic.Int64 // the step at which it serves
	last.Store(1 << 30)
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane+1), func(t *testing.T) {
				t.Parallel()
				s := startServer(t, "--approve", "after=1")
				var got killed
				for n := lane + 1; n < int(last.Load()); n += lanes {
					m := newHost(t, s)
					before := len(s.Hosts())
					at := m.killAtChange(n, "listening")
					if at.at == "" {
						last.Store(min(last.Load(), int64(n)))
						break
					}
					got.kills++
					got.steps = append(got.steps, at.at)
					// Once more while it heals itself, at any of its steps.
					if n%2 == 0 {
						if again := m.killAtChange(1+rand.IntN(8), "listening"); again.at != "" {
							got.kills++
							at.received = at.received || again.received
						}
					}
					if m.endsServing(s, before, at) {
						got.conflicts = append(got.conflicts, at.at)
					}
				}
				results <- got
			})
		}
	})
	close(results)
	var all killed
	for got := range results {
		all.kills += got.kills
		all.steps = append(all.steps, got.steps...)
		all.conflicts = append(all.conflicts, got.conflicts...)
	}
	t.Logf("%d kills at %d steps; conflicts: %v; steps: %v", all.kills, len(all.steps), all.conflicts, all.steps)
	if len(all.steps) < 30 {
		t.Errorf("%d steps are fewer than there are", len(all.steps))
	}
}

func TestAHostKilledAtEachStepOfARenewalServesAllTheTime(t *testing.T) {
	t.Parallel()
	const lanes = 4
	var steps atomic.Int64
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane+1), func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				s := startServer(t, dueAtOnce...)
				for n := lane + 1; ; n += lanes {
					m := newHost(t, s)
					before := len(s.RequestsTo(registerPath))
					m.must(0, "enroll")
					at := m.killAtChange(n, "certs.renewed").at
					if at == "" {
						break
					}
					steps.Add(1)
					a := m.launch()
					a.serves()
					a.renewed()
					m.settled()
					is.True(!m.has("enrollment/rejected"))              // no bundle was refused
					is.Equal(len(s.RequestsTo(registerPath)), before+1) // only enroll registered
					a.kill()
					hosts := s.Hosts()
					s.Decide(hosts[len(hosts)-1].ID, "remove") // the same name for the next
					if t.Failed() {
						t.Fatalf("killed at %q\n%s", at, a.log.tail())
					}
				}
			})
		}
	})
	t.Logf("%d steps", steps.Load())
	if steps.Load() < 30 {
		t.Errorf("%d steps are fewer than there are", steps.Load())
	}
}

// renewed waits until a certificate is in force that is not due.
func (a *agent) renewed() {
	a.m.t.Helper()
	a.m.stands(func(st status) bool {
		return st.State == "serving" && st.Enrollment.Manager.State == "approved" && st.Certificate.Status == "valid"
	})
}
