package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
)

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
			s := startManager(t, "--approve", row.approve)
			done, hold := make(chan struct{}), make(chan struct{})
			defer close(hold)
			var struck atomic.Bool
			var w *wiretap
			listening := make(chan struct{})
			w = tap(t, s, func(rw http.ResponseWriter, r *http.Request) {
				<-listening
				answer := httptest.NewRecorder()
				w.pass(answer, r)
				if strings.Contains(r.URL.Path, row.path) && !struck.Swap(true) {
					close(done)
					<-hold
					panic(http.ErrAbortHandler)
				}
				for name, values := range answer.Header() {
					rw.Header()[name] = values
				}
				rw.WriteHeader(answer.Code)
				_, _ = rw.Write(answer.Body.Bytes()) // a client that was killed needs no answer
			})
			close(listening)
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
				is.Equal(len(s.requestsTo(registerPath)), 2) // it waits its delay: no loop
				is.Equal(len(s.hosts()), 1)
				s.decide("e1", "approve")
			}
			a.serves()
			if !row.conflict {
				is.Equal(len(s.hosts()), 1)
				is.Equal(len(s.hosts()[0].Certificates), 1)
			}
			m.settled()
		})
	}
}
