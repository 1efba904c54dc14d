package e2e

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestATokenIsSentOnlyToWhoGaveIt(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, other := startManager(t, "--approve", "manual"), startManager(t)
	m := newHost(t, s)
	m.undecided()
	m.env["MUSTER_MANAGER_URL"], m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = other.URL, other.CA
	a := m.start()
	a.serves()
	is.Equal(len(other.hosts()), 1)
	for i, r := range other.requests() {
		is.True(i > 0 || r.Path == registerPath) // not a poll
	}
	is.Equal(len(other.requestsTo(pollPath)), 1)
}

func TestAWrongURLDoesNotLoseTheToken(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startManager(t, "--approve", "manual")
	m := newHost(t, s)
	m.undecided()
	m.env["MUSTER_MANAGER_URL"] = "https://" + closedPort(t).addr
	m.must(1, "enroll")
	m.env["MUSTER_MANAGER_URL"] = s.URL
	m.undecided()
	is.Equal(len(s.requestsTo(registerPath)), 1)
}

func TestAManagerThatDoesNotRenewIsAskedToTakeTheHostInAgain(t *testing.T) {
	t.Parallel()
	t.Run("and does", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t, append([]string{"--no-renew", "--reregister", "--approve", "after=2"}, dueAtOnce...)...)
		m := newHost(t, s)
		a := m.start()
		a.serves()
		a.logged("certs.installed", 3)
		a.serves()
		is.Equal(first(a.stop()), 0)
		asked, hosts := len(s.requestsTo(renewPath)), len(s.hosts())
		is.True(asked == hosts-1 || asked == hosts) // once for each certificate, the last of which may not be installed
		lines, _ := a.log.lines("listening")
		is.Equal(len(lines), 1)
	})
	t.Run("and says that it exists", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t, "--cert-lifetime", "30s", "--cert-age", "20s", "--no-renew") // 10 s to look at what is said at its end
		m := newHost(t, s)
		// A threshold of no time: there is more than that left.
		m.env["MUSTER_CERT_RENEWAL_THRESHOLD_DAYS"] = "0"
		m.delay("OPERATOR", 300*time.Millisecond, 300*time.Millisecond)
		a := m.start()
		a.serves()
		a.await("enroll.rejected", 1, func(l line) bool { return l.Class == "operator" })
		st := m.stands(func(st status) bool { return st.Enrollment.Manager.State == "conflict" })
		is.Equal(st.State, "serving")
		is.Equal(st.code, 0)
		is.Equal(st.Certificate.Status, "expiring_soon")
		is.True(strings.Contains(st.Enrollment.Manager.LastError, "re-approve"))
		a.serves()
		is.Equal(len(s.requestsTo(renewPath)), 1)

		// Once it is over, an operator must act; and once he has, it heals.
		m.stands(func(st status) bool { return st.State == "blocked" && st.Certificate.Status == "expired" })
		s.decide("e1", "approve")
		a.logged("certs.installed", 2)
		m.is("serving")
		a.serves()
	})
}

func TestADamagedCertificateHeals(t *testing.T) {
	t.Parallel()
	damage := map[string]func(m *machine){
		"cut short":     func(m *machine) { m.write(certFile, m.read(certFile)[:200]) },
		"empty":         func(m *machine) { m.write(certFile, nil) },
		"gone":          func(m *machine) { m.mustNot(os.Remove(m.path(certFile))) },
		"the key gone":  func(m *machine) { m.mustNot(os.Remove(m.path(keyFile))) },
		"the CA gone":   func(m *machine) { m.mustNot(os.Remove(m.path(caFile))) },
		"everything":    func(m *machine) { m.mustNot(os.RemoveAll(filepath.Dir(m.path(certFile)))) },
		"a foreign key": func(m *machine) { m.write(keyFile, m.foreign(keyFile)) },
		"a foreign CA":  func(m *machine) { m.write(caFile, m.foreign(caFile)) },
	}
	want := map[string]string{
		"cut short": "corrupt", "empty": "corrupt", "gone": "missing", "the key gone": "missing", "the CA gone": "missing", "everything": "missing",
		"a foreign key": "key_mismatch", "a foreign CA": "untrusted",
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startManager(t, "--reregister", "--approve", "after=1")
			m := newHost(t, s)
			m.must(0, "enroll")
			spoil(m)
			is.Equal(m.status().Certificate.Status, want[name])
			a := m.start()
			is.True(a.serves().Certificate.Status == "valid")
			is.Equal(len(s.hosts()), 2)
			is.Equal(m.is("serving").Certificate.Status, "valid")
			if want[name] != "corrupt" {
				m.settled()
				return
			}
			m.installed()
			is.Equal(len(m.setAside()), 1)
		})
	}
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

func TestACertificateDamagedWhileTheAgentRunsHeals(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startManager(t, "--reregister")
	m := newHost(t, s)
	a := m.start()
	a.serves()
	m.write(certFile, m.read(certFile)[:200])
	// A person's question makes it look at once, in place of within the hour.
	r := m.do("renew-certs")
	if r.code == 1 {
		t.Errorf("%v", r)
	}
	a.logged("certs.installed", 2)
	a.serves()
	lines, _ := a.log.lines("listening")
	is.Equal(len(lines), 1)
	is.Equal(m.is("serving").Certificate.Status, "valid")
}

func (m *machine) mustNot(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
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
	a := m.start()
	_, err := ask(donor.peer(), a.listening())
	is.NoErr(err)
	st := m.is("serving")
	is.Equal(st.Enrollment.Manager.State, "not_configured")
	is.Equal(st.Certificate.Status, "valid")
	is.True(strings.Contains(m.must(0, "renew-certs").out, "nobody renews it"))

	// With a manager they count as enrolled.
	is.Equal(first(a.stop()), 0)
	m.atManager(s)
	is.True(strings.Contains(m.must(0, "enroll").out, "valid until"))
	is.Equal(len(s.requestsTo(registerPath)), 1)
}

// One that is not good is no reason to end: it may become so.
func TestACertificatePlacedByHandThatIsNotGoodIsWaitedFor(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	donor := newHost(t, startManager(t))
	donor.must(0, "enroll")
	m := newMachine(t, nil)
	m.env["MUSTER_LISTEN_ADDR"] = "127.0.0.1:0"
	is.NoErr(os.MkdirAll(m.path("certs"), 0o700))
	m.write(caFile, donor.read(caFile))
	m.write(certFile, donor.read(certFile))
	is.Equal(m.start().wait(), 0) // without its key it is nothing yet

	m.write(keyFile, m.foreign(keyFile))
	a := m.start()
	is.Equal(m.is("blocked").Certificate.Status, "key_mismatch")
	m.write(keyFile, donor.read(keyFile))
	m.must(0, "renew-certs")
	_, err := ask(donor.peer(), a.listening())
	is.NoErr(err)
	m.is("serving")
	is.Equal(first(a.stop()), 0)
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

	// One that is damaged or of somebody else is refused, and the last good
	// one kept.
	s.fault(crlPath, 1, action{Corrupt: true})
	s.fault(crlPath, 1, action{Status: 200, Body: string(m.foreign(crlFile))})
	s.fault(crlPath, 1, action{Status: 200, Body: "<html>"})
	a.await("certs.status", 3, func(l line) bool { return l.Wait != "" && l.Level == "WARN" })
	a.serves()
	block, _ := pem.Decode(m.read(crlFile))
	if block == nil {
		t.Fatal("the list is damaged")
	}
	_, err := x509.ParseRevocationList(block.Bytes)
	is.NoErr(err)

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

func TestABundleThatCannotBeUsedIsKeptAside(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startManager(t)
	ca, cert := quote(fromElsewhere(t, caFile)), quote(fromElsewhere(t, certFile)) // somebody else's
	s.fault(anyPollPath, 1, action{Status: 200, Body: `{"status":"approved","ca_crt":` + ca + `,"server_crt":` + cert + `}`})
	m := newHost(t, s)
	m.delay("OPERATOR", 10*time.Second, 10*time.Second) // time to look before it asks again
	a := m.start()
	logged := a.logged("enroll.rejected", 1)
	is.Equal(logged.Class, "operator")
	kept, err := filepath.Glob(m.path("enrollment/rejected/*"))
	is.NoErr(err)
	is.Equal(len(kept), 1)
	is.True(strings.Contains(logged.Msg, kept[0]))
	is.Equal(m.is("blocked").Enrollment.Manager.State, "unexpected")
	is.True(!m.has(certFile))
	s.decide("e1", "remove")
	a.serves()
}

func TestAnAnswerThatIsNoAnswerLosesNothing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startManager(t, "--approve", "after=12")
	page := "<html>" + strings.Repeat("Welcome to the hotel's network. ", 40) + "</html>"
	for _, answer := range []action{
		{Status: 200, Body: page},
		{Status: 200, Body: "{}"},
		{Status: 200, Body: `{"status":"approved"}`},
		{Corrupt: true},
		{Status: 500, Body: page},
		{Status: 503, Headers: map[string]string{"Retry-After": "1"}},
		{Status: 429, Headers: map[string]string{"Retry-After": "1"}},
		{Drop: "before_response"},
		{Status: 200, Body: page, Drop: "mid_body"},
		{Status: 403},
		{Status: 302, Headers: map[string]string{"Location": "https://login.example.org/"}},
	} {
		s.fault(anyPollPath, 1, answer)
	}
	for _, answer := range []action{{Status: 500}, {Status: 200, Body: page}, {Drop: "after_commit"}, {Corrupt: true}} {
		s.fault(registerPath, 1, answer)
	}
	m := newHost(t, s)
	a := m.start()
	a.serves()
	is.Equal(len(s.hosts()), 1)
	m.is("serving")
}

func fromElsewhere(t *testing.T, name string) []byte {
	t.Helper()
	return newHost(t, startManager(t)).foreign(name)
}

func quote(b []byte) string { return `"` + strings.ReplaceAll(string(b), "\n", `\n`) + `"` }
