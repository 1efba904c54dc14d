package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestAnotherServerIsEnrolledAtAndTheOldKeyKeptUntilThen(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	const otherKey = "cek_theOtherServersKeyOfThisSite"
	old := startServer(t)
	other := serve(t, "--ca-out", publicDir(t)+"/ca.pem", "--site", site+"="+otherKey)
	oldTap, otherTap := tap(t, old, nil), tap(t, other, always(503))

	m := newMachine(t, nil)
	m.delays(20*time.Millisecond, 40*time.Millisecond)
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
	st := m.is("enrolling")
	is.Equal(st.Enrollment.Site.State, "retrying")
	a.kill() // and over a restart
	a = m.start()
	a.waited("enroll.retry", 3)
	is.True(bytes.Equal(m.read(credentialFile), record))

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
	is.True(newKey != oldKey)
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

func TestAnotherSiteIsEnrolledForAndTheOldKeyKeptUntilThen(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	const lab, labKey = "LAB", "cek_theKeyOfTheLaboratory"
	s := startServer(t, "--site", lab+"="+labKey)
	m := newMachine(t, s)
	m.delays(20*time.Millisecond, 40*time.Millisecond)
	a := m.start().connected()
	s.onlyMachine(m)
	key, record := m.key(), m.read(credentialFile)
	a.kill()

	m.env["MUSTER_SITE_CODE"], m.env["MUSTER_ENROLLMENT_KEY"] = lab, labKey
	a = m.start()
	is.Equal(a.logged("enroll.site_conflict", 2).Class, "operator")
	is.Equal(m.is("blocked").Enrollment.Site.State, "site_conflict")
	is.Equal(s.connections(), 1) // the old site's key is not used for the new one
	is.True(bytes.Equal(m.read(credentialFile), record))

	s.call("POST", "/_fake/machines/"+m.uid+"/assign?site="+lab, "")
	a.connected()
	s.onlyMachine(m)
	is.True(m.key() != key)
	is.Equal(s.state().Machines[0].SiteCode, lab)
}

func TestWhatOnlyLooksLikeAChangeIsNone(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--legacy-key", "shared-key-shared-key")
	m := newMachine(t, s)
	a := m.start().connected()
	a.kill()
	as := maps.Clone(m.env)
	for name, change := range map[string]func(){
		"a slash at the end":       func() { m.env["MUSTER_SERVER_URL"] = s.URL + "/" },
		"capitals":                 func() { m.env["MUSTER_SERVER_URL"] = strings.Replace(s.URL, "https", "HTTPS", 1) },
		"a rotated enrollment key": func() { m.env["MUSTER_ENROLLMENT_KEY"] = "cek_rotatedRotatedRotated" },
		"no enrollment key":        func() { delete(m.env, "MUSTER_ENROLLMENT_KEY") },
		"a shared key beside it":   func() { m.env["MUSTER_API_KEY"] = "shared-key-shared-key" },
		"a key file that is not there": func() {
			delete(m.env, "MUSTER_ENROLLMENT_KEY")
			m.env["MUSTER_ENROLLMENT_KEY_FILE"] = filepath.Join(m.home, "forgotten")
		},
		"nothing but the state directory": func() {
			for _, name := range []string{"MUSTER_SERVER_URL", "MUSTER_SITE_CODE", "MUSTER_ENROLLMENT_KEY"} {
				delete(m.env, name)
			}
		},
	} {
		change()
		a := m.start()
		a.logged("credential.loaded", 1)
		a.connected()
		a.kill()
		if s.enrollments() != 1 {
			t.Fatalf("%s is taken for another server", name)
		}
		m.env = maps.Clone(as)
	}
	s.relayConnections(8)
}

func TestAStateOfANewerVersionIsLeftUntouched(t *testing.T) {
	t.Parallel()
	for _, file := range []string{credentialFile, identityFile, retryFile} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			m := newMachine(t, s)
			m.delays(20*time.Millisecond, 40*time.Millisecond)
			m.must(0, "enroll")
			mine := m.read(file)
			var e envelope
			decode(t, mine, &e)
			e.Format, e.WrittenBy = 99, "99.3.1"
			e.seal()
			newer, err := json.Marshal(e)
			is.NoErr(err)
			m.write(file, newer)

			for _, command := range [][]string{{"enroll"}, {"enroll", "--force"}, {"unenroll", "--yes"}} {
				r := m.must(1, command...)
				is.True(strings.Contains(r.out+r.errs, "99.3.1"))
			}
			r := m.must(1, "status")
			is.True(strings.Contains(r.out+r.errs, "99.3.1"))
			if file == identityFile {
				m.must(1, "identify")
				m.must(1, "identify", "--save")
			}

			a := m.start()
			a.said("99.3.1")
			st := m.is("blocked")
			is.True(strings.Contains(st.Blocked, "99.3.1"))
			is.Equal(st.code, 1)
			is.Equal(s.enrollments(), 1)
			is.True(bytes.Equal(m.read(file), newer))
			is.Equal(m.setAside(), nil)

			// That version's place is taken again by this one's.
			m.write(file, mine)
			a.connected()
			s.onlyMachine(m)
			is.Equal(s.enrollments(), 1)
		})
	}
}

// A checksum that is wrong is damage, whatever the format says.
func TestADamagedFormatNumberIsNoNewerVersion(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.must(0, "enroll")
	m.write(credentialFile, bytes.Replace(m.read(credentialFile), []byte(`"format":1`), []byte(`"format":3`), 1))
	m.start().connected()
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 2)
	is.Equal(len(m.setAside()), 1)
}

// Another machine's credential, copied without its identity.
func TestAKeyOfAnotherMachineIsNotUsed(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.must(0, "enroll")
	stolen := m.key()
	m.uid = randomUID()
	m.env["MUSTER_MACHINE_UID"] = m.uid
	m.start().connected()
	is.True(m.key() != stolen)
	tries := s.requestsTo(relayPath)
	is.Equal(len(tries), 1)
	query, err := url.ParseQuery(tries[0].Query)
	is.NoErr(err)
	is.Equal(query.Get("machine_uid"), m.uid)
	is.Equal(len(s.state().Machines), 2)
}
