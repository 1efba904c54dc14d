package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestTheURLGivenToEnrollIsKeptForRun(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, other := startManager(t, "--approve", "manual"), startManager(t)
	m := newHost(t, s)
	delete(m.env, "MUSTER_MANAGER_URL")
	m.env["MUSTER_POLLING_INTERVAL"] = "1s" // the least for a manager that may be anywhere
	m.must(1, "enroll")
	m.must(1, "enroll", "ftp://127.0.0.1/")
	for _, given := range []string{s.URL + "/", s.URL + "/api/v1"} {
		m.undecided(given)
	}
	is.Equal(len(s.hosts()), 1) // the same manager, however it is written
	is.True(shows(m, s.URL, "from enrollment"))

	a := m.start()
	a.logged("manager.resumed", 1)
	s.decide("e1", "approve")
	a.serves()
	is.Equal(first(a.stop()), 0)
	is.True(shows(m, s.URL, "from enrollment")) // still, with the certificate installed
	a = m.start()
	a.serves()
	m.stands(func(st status) bool { return st.State == "serving" && st.Enrollment.Manager.State == "approved" })
	is.Equal(first(a.stop()), 0)

	// What is configured wins.
	m.env["MUSTER_MANAGER_URL"] = other.URL
	is.True(shows(m, other.URL, ""))
	is.True(!shows(m, "", "from enrollment"))
}

// shows reports whether the configuration shows the manager, and from where.
func shows(m *machine, url, from string) bool {
	m.t.Helper()
	for row := range strings.Lines(m.must(0, "config").out) {
		if strings.HasPrefix(row, "MUSTER_MANAGER_URL ") {
			return strings.Contains(row, url) && strings.Contains(row, from)
		}
	}
	return false
}

func TestDamagedCertificateFilesAreSetAside(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startManager(t, "--reregister")
	m := newHost(t, s)
	private := filepath.Join(t.TempDir(), "private", "host.key") // another directory than the others'
	m.env["MUSTER_SERVER_KEY"] = private
	m.must(0, "enroll")
	held := map[string][]byte{
		private:          []byte("PRECIOUS"),
		m.path(caFile):   {},
		m.path(certFile): m.read(certFile)[:len(m.read(certFile))*3/4],
		m.path(crlFile):  []byte("garbage"),
	}
	for path, content := range held {
		is.NoErr(os.WriteFile(path, content, 0o600)) // its mode stays
	}
	copies := func(path string) []string {
		found, err := filepath.Glob(path + ".damaged-*")
		is.NoErr(err)
		return found
	}
	m.do("status") // only looking moves nothing
	for path := range held {
		is.Equal(copies(path), nil)
	}

	a := m.start()
	l := a.await("store.recovered", len(held), func(l line) bool { return l.Level == "WARN" && l.Action == "set aside" })
	is.True(!strings.Contains(l.Msg, "PRECIOUS"))
	a.logged("certs.installed", 1)
	is.Equal(m.is("serving").Certificate.Status, "valid")
	m.installed()
	for path, content := range held {
		aside := copies(path)
		if len(aside) != 1 {
			t.Fatalf("of %s there are the copies %v", path, aside)
		}
		kept, err := os.ReadFile(aside[0])
		is.NoErr(err)
		is.True(bytes.Equal(kept, content))
		now, err := os.Stat(path)
		is.NoErr(err)
		then, err := os.Stat(aside[0])
		is.NoErr(err)
		is.Equal(then.Mode(), now.Mode()) // as the new one's: as it was installed
		is.True(strings.Contains(a.log.String(), filepath.Base(aside[0])))
	}
	is.Equal(first(a.stop()), 0)

	removed := m.must(0, "unenroll", "--yes").out
	is.True(strings.Contains(removed, private+".damaged-"))
	for path := range held {
		is.Equal(copies(path), nil)
		_, err := os.Stat(path)
		is.True(os.IsNotExist(err))
	}
	is.Equal(m.setAside(), nil)
}

// foreign is the same file of a host of another manager.
func (m *machine) foreign(name string) []byte {
	m.t.Helper()
	other := newHost(m.t, startManager(m.t))
	other.must(0, "enroll")
	return other.read(name)
}

func TestCertificatesPlacedByHandAreServedWithoutAManager(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startManager(t)
	donor := newHost(t, s)
	donor.must(0, "enroll")
	m := newMachine(t, nil)
	m.env["MUSTER_LISTEN_ADDR"] = "127.0.0.1:0"
	m.env["MUSTER_CA_CERT"], m.env["MUSTER_SERVER_CERT"], m.env["MUSTER_SERVER_KEY"] = donor.path(caFile), donor.path(certFile), donor.path(keyFile)
	is.NoErr(os.Rename(donor.path(keyFile), donor.path("away")))
	is.Equal(m.start().wait(), 0) // without its key it is nothing yet

	// One that is not good is no reason to end: it may become so.
	donor.write(keyFile, m.foreign(keyFile))
	a := m.start()
	is.Equal(m.is("blocked").Certificate.Status, "key_mismatch")
	is.NoErr(os.Rename(donor.path("away"), donor.path(keyFile)))
	is.True(strings.Contains(m.must(0, "renew-certs").out, "nobody renews it")) // and has it looked at now
	_, err := ask(donor.peer(), a.listening())
	is.NoErr(err)
	st := m.is("serving")
	is.Equal(st.Enrollment.Manager.State, "not_configured")
	is.Equal(st.Certificate.Status, "valid")

	// With a manager they count as enrolled.
	is.Equal(first(a.stop()), 0)
	m.atManager(s)
	is.True(strings.Contains(m.must(0, "enroll").out, "valid until"))
	is.Equal(len(s.requestsTo(registerPath)), 1)
}

func TestTheRevocationListIsKeptFresh(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startManager(t, "--crl-lifetime", "2s")
	m := newHost(t, s)
	a := m.start()
	a.serves()
	former := m.read(crlFile)
	s.asked(crlPath, 2)
	eventually(t, func() string {
		if bytes.Equal(m.read(crlFile), former) {
			return "the list is the old one"
		}
		return ""
	})

	// Who is revoked is not served any more; here it is the host itself.
	s.decide("e1", "revoke")
	m.stands(func(st status) bool { return st.Certificate.Status == "revoked" })
	st := m.stands(func(st status) bool { return st.Enrollment.Manager.State == "conflict" })
	is.Equal(st.State, "blocked")
	if _, err := ask(m.peer(), a.listening()); err == nil {
		t.Error("a revoked client is answered")
	}
	s.decide("e1", "approve") // an operator lets it in again
	a.logged("certs.installed", 2)
	a.serves()
	is.Equal(m.is("serving").Certificate.Status, "valid")
}
