package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// outcomes is a row of docs/PROTOCOLS.md, "Site enrollment", for each state,
// as a fault of the server. (Every row of it has a test in adapters/siteapi,
// what follows in domain/enrollment, and the waits in app.)
var outcomes = []struct {
	name  string
	fault action

	class, event, state, overall string
	code                         int      // of `muster status`
	advice                       []string // what last_error says, in part
}{
	{
		name:  "401, rejected",
		fault: action{Status: 401, Body: `{"error":"wrong enrollment key","code":"ENROLL_REJECTED"}`},
		class: "operator", event: "enroll.rejected", state: "rejected", overall: "blocked", code: 1,
		advice: []string{"MUSTER_ENROLLMENT_KEY", "MUSTER_SITE_CODE", site, "wrong enrollment key"},
	},
	{
		name:  "409, another site's machine",
		fault: action{Status: 409, Body: `{"error":"this machine belongs to LAB","code":"ENROLL_SITE_CONFLICT"}`},
		class: "operator", event: "enroll.site_conflict", state: "site_conflict", overall: "blocked", code: 1,
		advice: []string{"another site", "MUSTER_SITE_CODE", "belongs to LAB"},
	},
	{
		name:  "202, collision",
		fault: action{Status: 202, Body: `{"state":"collision_pending"}`},
		class: "pending", event: "enroll.pending", state: "pending", overall: "pending", code: 2,
		advice: []string{"operator", "confirm"},
	},
	{
		name:  "an answer that is no JSON",
		fault: action{Status: 201, Body: "<html>Welcome to the hotel's network</html>"},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"JSON"},
	},
	{
		name:  "302",
		fault: action{Status: 302, Headers: map[string]string{"Location": "https://login.example.org/"}},
		class: "operator", event: "enroll.rejected", state: "unexpected", overall: "blocked", code: 1,
		advice: []string{"302", "redirect", "login.example.org"},
	},
}

func TestEachOutcomeIsToldBorneAndOvercome(t *testing.T) {
	t.Parallel()
	for _, row := range outcomes {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			s.fault(enrollPath, 0, row.fault)
			m := newMachine(t, s)
			a := m.start()

			logged := a.logged(row.event, 2)
			is.Equal(logged.Class, row.class)
			is.Equal(logged.Attempt, 2)
			st := m.stands(func(st status) bool {
				return st.State == row.overall && st.Enrollment.Site.State == row.state && st.Enrollment.Site.LastError != ""
			})
			is.Equal(st.code, row.code)
			is.Equal(st.Credential.Present, false)
			for _, part := range append(row.advice, strings.TrimPrefix(s.URL, "https://")) {
				if !strings.Contains(st.Enrollment.Site.LastError, part) || !strings.Contains(logged.Msg, part) {
					t.Errorf("neither the status\n\t%s\nnor the log\n\t%s\nmay leave out %q", st.Enrollment.Site.LastError, logged.Msg, part)
				}
			}

			s.heal()
			a.connected()
			a.runs()
			s.onlyMachine(m)
			st = m.is("connected")
			is.Equal(st.Enrollment.Site.State, "enrolled")
			is.Equal(st.Enrollment.Site.LastError, "")
			is.Equal(st.Enrollment.Site.NextAttempt, nil)
		})
	}
}

func TestAServerThatIsNotThereYetIsFoundOnceItIs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	p := closedPort(t)
	m := newMachine(t, s)
	m.env["MUSTER_SERVER_URL"] = "https://" + p.addr
	a := m.start()
	is.Equal(a.logged("enroll.retry", 3).Class, "transient")
	st := m.is("enrolling")
	is.Equal(st.Enrollment.Site.State, "retrying")
	is.True(strings.Contains(st.Enrollment.Site.LastError, "refused"))
	is.True(strings.Contains(st.Enrollment.Site.LastError, p.addr))

	p.open(strings.TrimPrefix(s.URL, "https://"))
	a.connected()
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)

	// The connection breaks, and the server stays away for a while.
	p.close()
	a.logged("relay.disconnected", 3)
	st = m.is("connecting")
	is.Equal(st.Relay.State, "connecting")
	is.True(st.Relay.LastError != "") // why it is not connected
	is.Equal(st.code, 2)
	p.open(strings.TrimPrefix(s.URL, "https://"))
	a.logged("relay.connected", 2)
	m.is("connected")
	is.Equal(s.enrollments(), 1)
}

func TestAClockThatIsWrongIsReportedAndNothingIsThrownAway(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	const off = 48 * time.Hour // the server is ahead
	s := startServer(t)
	m := newMachine(t, s).hasty()
	// With the clocks right, a key that was refused for so long would be
	// enrolled for again.
	m.env["MUSTER_REENROLL_AFTER"] = "100ms"
	a := m.start().connected()
	s.onlyMachine(m)
	credential := m.read(credentialFile)

	s.fault("", 0, action{Status: 401, Headers: map[string]string{"Date": time.Now().Add(off).UTC().Format(http.TimeFormat)}})
	s.cut(m)
	is.Equal(a.logged("clock.skew", 1).Level, "WARN")
	began := time.Now()
	for n := 1; n < 10 || time.Since(began) < time.Second; n++ {
		is.Equal(a.logged("credential.refused", n).Class, "transient")
	}
	st := m.is("connecting")
	is.True(st.ClockSkew != nil && (time.Duration(*st.ClockSkew)*time.Second-off).Abs() < time.Minute) // what a busy machine takes
	is.Equal(s.enrollments(), 1)
	is.True(bytes.Equal(m.read(credentialFile), credential)) // nothing is thrown away

	// The same refusal with the clocks right is believed.
	s.heal()
	a.logged("relay.connected", 2)
	s.fault(relayPath, 0, action{Status: 401})
	s.cut(m)
	s.asked(enrollPath, 2)
}

const legacyKey = "shared-by-all-of-them-since-2019"

func TestTheSharedKeyStillConnectsWithAWarning(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t, "--legacy-key", legacyKey)
	m := newMachine(t, s)
	delete(m.env, "MUSTER_SITE_CODE")
	delete(m.env, "MUSTER_ENROLLMENT_KEY")
	m.env["MUSTER_API_KEY"] = legacyKey
	a := m.start().connected()
	l := a.logged("legacy_api_key", 1)
	is.Equal(l.Level, "WARN")
	is.True(strings.Contains(l.Msg, "MUSTER_ENROLLMENT_KEY"))
	st := m.is("connected")
	is.True(st.Credential.Present)
	is.Equal(st.Credential.Source, "legacy")
	is.Equal(st.Enrollment.Site.State, "not_configured")
	is.Equal(s.enrollments(), 0)
	is.True(!m.stored()) // a shared key is not stored
	is.True(!leaks(a.log.String(), legacyKey))
	a.kill()

	// Site enrollment, once it is configured, comes before it.
	m.env["MUSTER_SITE_CODE"], m.env["MUSTER_ENROLLMENT_KEY"] = site, enrollmentKey
	a = m.start().connected()
	warned, _ := a.log.lines("legacy_api_key")
	is.Equal(len(warned), 0)
	is.Equal(s.enrollments(), 1)
	is.Equal(m.is("connected").Credential.Source, "enrolled")
}
