package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

// The delays by which the classes are told apart: as bounded in docs/SPEC.md,
// "Delay classes", no wait of one class can be one of another.
const (
	transientMin, transientMax = 250 * time.Millisecond, 300 * time.Millisecond // waits of 50 to 300 ms
	pendingMin, pendingMax     = 400 * time.Millisecond, 500 * time.Millisecond // waits of 320 to 600 ms
	operatorMin, operatorMax   = 800 * time.Millisecond, 900 * time.Millisecond // waits of 640 to 1080 ms
)

func (m *machine) delaysToTellApart() {
	m.delay("TRANSIENT", transientMin, transientMax)
	m.delay("PENDING", pendingMin, pendingMax)
	m.delay("OPERATOR", operatorMin, operatorMax)
}

// bounds of the waits of a class (docs/SPEC.md, "Delay classes").
func bounds(class string) (least, most time.Duration) {
	switch class {
	case "transient":
		return transientMin / 5, transientMax
	case "pending":
		return pendingMin * 8 / 10, pendingMax * 12 / 10
	case "operator":
		return operatorMin * 8 / 10, operatorMax * 12 / 10
	}
	return -1, -1
}

// outcomes is the table of docs/PROTOCOLS.md, "Site enrollment", each row as a
// fault of the server.
var outcomes = []struct {
	name  string
	fault action

	class, event, state, overall string
	code                         int           // of `muster status`
	advice                       []string      // what last_error says, in part
	atLeast                      time.Duration // what a Retry-After asks for
}{
	{
		name:  "401, rejected",
		fault: action{Status: 401, Body: `{"error":"wrong enrollment key","code":"ENROLL_REJECTED"}`},
		class: "operator", event: "enroll.rejected", state: "rejected", overall: "blocked", code: 1,
		advice: []string{"MUSTER_ENROLLMENT_KEY", "MUSTER_SITE_CODE", site, "wrong enrollment key"},
	},
	{
		name:  "401 without a body",
		fault: action{Status: 401},
		class: "operator", event: "enroll.rejected", state: "rejected", overall: "blocked", code: 1,
		advice: []string{"MUSTER_ENROLLMENT_KEY"},
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
		name:  "202 with Retry-After",
		fault: action{Status: 202, Headers: map[string]string{"Retry-After": "2"}, Body: `{"state":"collision_pending"}`},
		class: "pending", event: "enroll.pending", state: "pending", overall: "pending", code: 2,
		advice: []string{"confirm"}, atLeast: 2 * time.Second,
	},
	{
		name:  "429 with Retry-After",
		fault: action{Status: 429, Headers: map[string]string{"Retry-After": "2"}},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"limits"}, atLeast: 2 * time.Second,
	},
	{
		name:  "503 with Retry-After",
		fault: action{Status: 503, Headers: map[string]string{"Retry-After": "2"}},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"503"}, atLeast: 2 * time.Second,
	},
	{
		name:  "503 with a Retry-After that means nothing",
		fault: action{Status: 503, Headers: map[string]string{"Retry-After": "soon"}},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"503"},
	},
	{
		name:  "500",
		fault: action{Status: 500, Body: "<html>oops</html>"},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"500"},
	},
	{
		name:  "an answer that is no JSON",
		fault: action{Status: 201, Body: "<html>Welcome to the hotel's network</html>"},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"JSON"},
	},
	{
		name:  "an answer with flipped bits",
		fault: action{Corrupt: true},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"JSON"},
	},
	{
		name:  "200 without a key",
		fault: action{Status: 200, Body: `{"state":"enrolled"}`},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"no usable key"},
	},
	{
		name:  "201 with a key that is none",
		fault: action{Status: 201, Body: `{"key":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}`},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"no usable key"},
	},
	{
		name:  "201 with a key of 19 characters",
		fault: action{Status: 201, Body: `{"key":"cak_456789012345678"}`},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
		advice: []string{"no usable key"},
	},
	{
		name:  "a connection that is cut before the answer",
		fault: action{Drop: "before_response"},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
	},
	{
		name:  "a connection that is cut within the answer",
		fault: action{Status: 201, Body: `{"key":"cak_0123456789012345678901234567890123456789"}`, Drop: "mid_body"},
		class: "transient", event: "enroll.retry", state: "retrying", overall: "enrolling", code: 2,
	},
	{
		name:  "400",
		fault: action{Status: 400, Body: `{"error":"unknown field labels"}`},
		class: "operator", event: "enroll.rejected", state: "unexpected", overall: "blocked", code: 1,
		advice: []string{"400", "MUSTER_SERVER_URL", "unknown field labels"},
	},
	{
		name:  "403",
		fault: action{Status: 403},
		class: "operator", event: "enroll.rejected", state: "unexpected", overall: "blocked", code: 1,
		advice: []string{"403", "MUSTER_SERVER_URL"},
	},
	{
		name:  "404",
		fault: action{Status: 404},
		class: "operator", event: "enroll.rejected", state: "unexpected", overall: "blocked", code: 1,
		advice: []string{"404", "MUSTER_SERVER_URL"},
	},
	{
		name:  "302",
		fault: action{Status: 302, Headers: map[string]string{"Location": "https://login.example.org/"}},
		class: "operator", event: "enroll.rejected", state: "unexpected", overall: "blocked", code: 1,
		advice: []string{"302", "redirect", "login.example.org"},
	},
	{
		name:  "204",
		fault: action{Status: 204},
		class: "operator", event: "enroll.rejected", state: "unexpected", overall: "blocked", code: 1,
		advice: []string{"204"},
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
			m.delaysToTellApart()
			a := m.start()

			logged := a.logged(row.event, 1)
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

			tries := 3
			if row.atLeast > 0 {
				tries = 2
			}
			for n := 1; n <= tries; n++ {
				logged := a.logged(row.event, n)
				least, most := bounds(row.class)
				if row.atLeast > 0 {
					least, most = row.atLeast, row.atLeast*11/10+time.Second
				}
				is.Equal(logged.Class, row.class)
				is.Equal(logged.Attempt, n)
				if w := logged.wait(); w < least || w > most {
					t.Errorf("attempt %d: a wait of %v is not one of class %s, from %v to %v", n, w, row.class, least, most)
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

			lines, _ := a.log.lines(row.event)
			neverSooner(t, s.requestsTo(enrollPath), lines)
		})
	}
}

// neverSooner asserts, by the server's clock, that between two requests passed
// the wait that was logged between them.
func neverSooner(t *testing.T, requests []request, waits []line) {
	t.Helper()
	if len(requests) != len(waits)+1 {
		t.Errorf("%d requests, and %d waits between them", len(requests), len(waits))
		return
	}
	for i, w := range waits {
		if gap := requests[i+1].Time.Sub(requests[i].Time); gap < w.wait() {
			t.Errorf("request %d came %v after the one before; the wait was to be %v", i+2, gap, w.wait())
		}
	}
}

func TestAServerThatIsNotThereYetIsFoundOnceItIs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	p := closedPort(t)
	m := newMachine(t, s)
	m.env["MUSTER_SERVER_URL"] = "https://" + p.addr
	m.delaysToTellApart()
	a := m.start()

	for n := 1; n <= 3; n++ {
		logged := a.logged("enroll.retry", n)
		least, most := bounds("transient")
		is.Equal(logged.Class, "transient")
		is.Equal(logged.Attempt, n)
		is.True(least <= logged.wait() && logged.wait() <= most)
	}
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
	is.True(st.Relay.LastError != "")
	is.Equal(st.code, 2)
	p.open(strings.TrimPrefix(s.URL, "https://"))
	a.logged("relay.connected", 2)
	m.is("connected")
	is.Equal(s.enrollments(), 1)
}

func TestANameThatDoesNotResolveAndACertificateThatIsNotTrustedAreTransient(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, other := startServer(t), startServer(t)

	m := newMachine(t, s)
	m.env["MUSTER_SERVER_URL"] = "https://muster.invalid" // RFC 6761: never resolves
	logged := m.start().logged("enroll.retry", 2)
	is.Equal(logged.Class, "transient")
	is.True(strings.Contains(logged.Msg, "muster.invalid"))

	m = newMachine(t, s)
	m.env["MUSTER_TRUST_CA_FILE"] = other.CA
	logged = m.start().logged("enroll.retry", 2)
	is.Equal(logged.Class, "transient")
	is.True(strings.Contains(logged.Msg, "certificate"))
	is.Equal(s.enrollments(), 0) // nothing was said to a server that is not trusted
}

func TestARetryAfterOutlivesARestart(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	const asked = 3 * time.Second
	s.fault(enrollPath, 1, action{Status: 429, Headers: map[string]string{"Retry-After": strconv.Itoa(int(asked / time.Second))}})
	m := newMachine(t, s)
	m.delays(10*time.Millisecond, 20*time.Millisecond)
	a := m.start()
	a.logged("enroll.retry", 1)
	for range 5 {
		a.kill()
		a = m.start()
		a.logged("starting", 1)
	}
	a.connected()
	tries := s.requestsTo(enrollPath)
	is.True(len(tries) >= 2) // one more if a slow machine killed it at the second
	is.True(tries[1].Time.Sub(tries[0].Time) >= asked)
}

func TestOutcomesThatFollowEachOtherCountByTheirClass(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	for _, status := range []int{500, 401, 500, 202, 401} {
		s.fault(enrollPath, 1, action{Status: status, Body: "{}"})
	}
	m := newMachine(t, s)
	m.delaysToTellApart()
	a := m.start().connected()

	type told struct {
		class   string
		attempt int
	}
	var got []told
	lines, _ := a.log.lines("")
	for _, l := range lines {
		if l.Wait != "" && strings.HasPrefix(l.Event, "enroll.") {
			got = append(got, told{l.Class, l.Attempt})
		}
	}
	is.Equal(got, []told{{"transient", 1}, {"operator", 1}, {"transient", 2}, {"pending", 1}, {"operator", 2}})
}
