package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestTheEndsOfAnEnrollmentAtAManagerAsAShellSeesThem(t *testing.T) {
	t.Parallel()
	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t, "--approve", "manual")
		m := newHost(t, s)
		a := m.start("enroll")
		s.Decide(s.Registered(1).ID, "deny")
		is.Equal(a.wait(), 1)
		a.said("denied")
	})
	t.Run("the host exists", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t)
		newHost(t, s).must(0, "enroll")
		m := newHost(t, s) // the same name
		r := m.must(1, "enroll")
		is.True(strings.Contains(r.out, "remove or re-approve this host at the manager"))
		m.must(1, "enroll", "--wait", "1h")
		a := m.start()
		st := m.is("blocked")
		is.Equal(st.Enrollment.Manager.State, "conflict")
		is.True(strings.Contains(st.Enrollment.Manager.LastError, "re-approve"))
		s.Decide("e1", "remove")
		a.serves()
		is.Equal(m.is("serving").code, 0)
	})
	t.Run("polls used up", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t, "--approve", "manual")
		m := newHost(t, s)
		const round = 3
		m.env["MUSTER_MAX_POLL_ATTEMPTS"] = strconv.Itoa(round)
		for n := 1; n <= 2; n++ {
			r := m.must(2, "enroll")
			is.True(strings.Contains(r.out, "polls are used up"))
			is.Equal(len(s.RequestsTo(pollPath)), n*round)
		}
		a := m.start()
		s.asked(pollPath, 5*round)
		a.runs()
		m.is("pending")
		is.Equal(len(s.RequestsTo(registerPath)), 1)
		s.Decide("e1", "approve")
		a.serves()
	})
	t.Run("the wait is over", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t, "--approve", "manual")
		m := newHost(t, s)
		m.undecided()
		m.must(2, "enroll", "--wait", aMoment)
		is.Equal(len(s.RequestsTo(registerPath)), 1)
		s.Decide("e1", "approve")
		m.must(0, "enroll")

		m = newHost(t, s)
		m.env["MUSTER_MANAGER_URL"] = "https://" + closedPort(t).addr
		m.must(1, "enroll", "--wait", "500ms")
	})
	t.Run("told to stop while pending", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t, "--approve", "manual")
		m := newHost(t, s)
		m.env["MUSTER_POLLING_INTERVAL"] = "1m" // it waits when it is told
		a := m.start("enroll")
		a.said("operator must approve")
		for _, sig := range toStop {
			is.Equal(first(a.signal(sig)), 2)
			a = m.start("enroll")
			a.said("operator must approve")
		}
		is.Equal(first(a.stop()), 2)
		a = m.start()
		a.logged("manager.resumed", 1)
		code, took := a.stop()
		is.Equal(code, 0)
		is.True(took < 30*time.Second) // it did not wait for its next poll
		is.Equal(len(s.RequestsTo(registerPath)), 1)
	})
}

// TestKilledWhileTheManagerAnswers kills the agent when the manager has done
// what it was asked to, and the answer has not arrived.
func TestKilledWhileTheManagerAnswers(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, path string
		approve    string
		conflict   bool // the one moment that no agent can close
	}{
		{name: "a registration", path: "/api/v1/enroll", approve: "auto"},
		{name: "a poll before the decision", path: "/enroll/status/", approve: "after=1"},
		{name: "the poll that brings the bundle", path: "/enroll/status/", approve: "auto", conflict: true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t, "--approve", row.approve)
			done, hold := make(chan struct{}), make(chan struct{})
			defer close(hold)
			var struck atomic.Bool
			w := tap(t, s, func(pass http.HandlerFunc) http.HandlerFunc {
				return func(rw http.ResponseWriter, r *http.Request) {
					_, send := later(pass, r)
					if strings.Contains(r.URL.Path, row.path) && !struck.Swap(true) {
						close(done)
						<-hold
						panic(http.ErrAbortHandler)
					}
					send(rw)
				}
			})
			m := newHost(t, s)
			m.env["MUSTER_MANAGER_URL"], m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = w.URL, w.CA
			m.delay("OPERATOR", 10*time.Second, 10*time.Second) // time to look before it asks again
			a := m.launch()
			select {
			case <-done:
			case <-time.After(patience):
				t.Fatalf("the moment does not come:\n%s", a.log.tail())
			}
			a.kill()

			a = m.start()
			if row.conflict {
				l := a.await("enroll.rejected", 1, func(l line) bool { return l.Class == "operator" })
				is.True(strings.Contains(l.Msg, "remove or re-approve this host at the manager"))
				is.Equal(m.is("blocked").Enrollment.Manager.State, "conflict")
				is.Equal(len(s.RequestsTo(registerPath)), 2) // it waits its delay: no loop
				is.Equal(len(s.Hosts()), 1)
				s.Decide("e1", "approve")
			}
			a.serves()
			if !row.conflict {
				is.Equal(len(s.Hosts()), 1)
				is.Equal(len(s.Hosts()[0].Certificates), 1)
			}
			m.settled()
		})
	}
}
