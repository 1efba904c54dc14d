package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestBothEnrollmentsAtOnceEndConnectedAndServing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t, "--approve", "after=2")
	m := newMachine(t, s)
	m.atManager(s)
	a := m.start().connected()
	h := a.serves()
	s.onlyMachine(m)
	is.Equal(h.Certificate.Status, "valid")
	is.True(h.Version != "")
	is.True(h.Uptime != nil)

	st := m.is("connected")
	is.Equal(st.code, 0)
	is.Equal(st.Enrollment.Site.State, "enrolled")
	is.Equal(st.Enrollment.Manager.State, "approved")
	is.Equal(st.Certificate.Status, "valid")
	is.Equal(st.Listener.Addr, a.listening())
	is.True(st.Certificate.NotAfter != nil && st.Certificate.RenewAt != nil && st.Certificate.RenewAt.Before(*st.Certificate.NotAfter))
	m.settled()
	is.Equal(len(s.hosts()), 1)
	is.True(s.hosts()[0].CSR)
	is.Equal(len(s.requestsTo(pollPath)), 3)

	// A restart asks for nothing again.
	is.Equal(first(a.stop()), 0)
	a = m.start().connected()
	a.serves()
	is.Equal(len(s.hosts()), 1)
	is.Equal(len(s.requestsTo(registerPath)), 1)
	is.Equal(len(s.hosts()[0].Certificates), 1)
	is.Equal(s.enrollments(), 1)

	// enroll finds both enrolled.
	is.Equal(first(a.stop()), 0)
	r := m.must(0, "enroll")
	is.True(strings.Contains(r.out, "is enrolled"))
	is.True(strings.Contains(r.out, "valid until"))
}

func TestEnrollDoesBothAndEndsWithTheWorse(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.atManager(s)
	r := m.must(0, "enroll")
	is.True(m.stored())
	is.True(m.has(certFile))
	is.True(!strings.Contains(r.errs, `"listening"`)) // enroll never listens
	is.Equal(s.connections(), 0)

	s = startServer(t, "--approve", "manual")
	m = newMachine(t, s)
	m.atManager(s)
	a := m.start("enroll")
	a.logged("credential.stored", 1)
	a.logged("enroll.pending", 1)
	is.Equal(first(a.stop()), 2)
	is.True(m.stored())
	s.refuse(401) // 1 is worse than 2
	m = newMachine(t, s)
	m.atManager(s)
	s.decide("e1", "remove")
	m.must(1, "enroll", "--wait", "1s")
}

// first is the exit code of an agent that was stopped.
func first(code int, _ time.Duration) int { return code }
