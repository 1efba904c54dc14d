package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestAnotherServerIsEnrolledAtAndTheOldKeyKeptUntilThen(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	const otherKey = "cek_theOtherServersKeyOfThisSite"
	old := startServer(t)
	other := serve(t, "--ca-out", publicDir(t)+"/ca.pem", "--site", site+"="+otherKey)
	oldTap, otherTap := tap(t, old, nil), tap(t, other, always(503))

	m := newMachine(t, nil).hasty()
	m.configure(oldTap.URL, oldTap.CA)
	a := m.start().connected()
	old.onlyMachine(m)
	oldKey, record, id := m.key(), m.read(credentialFile), m.agentID()
	a.kill()

	m.configure(otherTap.URL, otherTap.CA)
	m.env["MUSTER_ENROLLMENT_KEY"] = otherKey
	before := len(oldTap.requests())
	a = m.start()
	a.waited("enroll.retry", 3)
	is.True(bytes.Equal(m.read(credentialFile), record)) // kept
	is.Equal(m.is("enrolling").Enrollment.Site.State, "retrying")

	// Configured back, the old key is used as if nothing had been.
	a.kill()
	m.configure(oldTap.URL, oldTap.CA)
	a = m.start().connected()
	is.Equal(old.enrollments(), 1)
	is.Equal(len(oldTap.requests()), before+1)
	a.kill()

	m.configure(otherTap.URL, otherTap.CA)
	m.env["MUSTER_ENROLLMENT_KEY"] = otherKey
	otherTap.passOn()
	m.start().connected()
	other.onlyMachine(m)
	newKey := m.key()
	is.True(newKey != oldKey) // the other server gave one of its own
	is.Equal(m.agentID(), id)
	is.Equal(len(oldTap.requests()), before+1) // it heard no more of this
	is.Equal(m.is("connected").Enrollment.Site.State, "enrolled")

	nobodyHeard(t, "the old server", oldTap, otherKey, newKey)
	nobodyHeard(t, "the other server", otherTap, enrollmentKey, oldKey)
	heard(t, "the old server", oldTap, enrollmentKey, oldKey)
	heard(t, "the other server", otherTap, otherKey, newKey)
}

// nobodyHeard asserts that none of the secrets was sent to a server.
func nobodyHeard(t *testing.T, who string, w *wiretap, secrets ...string) {
	t.Helper()
	for _, request := range w.requests() {
		for _, secret := range secrets {
			if leaks(request, secret) {
				t.Errorf("%s was sent another's secret:\n%s", who, request)
			}
		}
	}
}

// heard asserts that all of the secrets were sent to a server: what nobody says
// is easily not heard.
func heard(t *testing.T, who string, w *wiretap, secrets ...string) {
	t.Helper()
	all := strings.Join(w.requests(), "\n")
	for _, secret := range secrets {
		if !strings.Contains(all, secret) {
			t.Errorf("%s was not sent its own secret", who)
		}
	}
}

func TestAStateOfANewerVersionIsLeftUntouched(t *testing.T) {
	t.Parallel()
	for _, file := range []string{credentialFile, identityFile, retryFile} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			m := newMachine(t, s).hasty()
			m.must(0, "enroll")
			mine := m.read(file)
			newer := m.makeNewer(file, "99.3.1")

			for _, command := range [][]string{{"enroll"}, {"enroll", "--force"}, {"unenroll", "--yes"}, {"status"}} {
				r := m.must(1, command...)
				is.True(strings.Contains(r.out+r.errs, "99.3.1")) // which version to install again
			}

			a := m.start()
			a.said("99.3.1")
			is.True(strings.Contains(m.is("blocked").Blocked, "99.3.1"))
			is.Equal(s.enrollments(), 1)
			is.True(bytes.Equal(m.read(file), newer)) // untouched
			is.Equal(m.setAside(), nil)

			// That version's place is taken again by this one's.
			m.write(file, mine)
			a.connected()
			s.onlyMachine(m)
			is.Equal(s.enrollments(), 1)
		})
	}
}
