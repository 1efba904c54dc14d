package e2e

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestAFreshMachineIsConnected(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.env = map[string]string{ // and nothing else, but for who this machine is
		"MUSTER_SERVER_URL": s.URL, "MUSTER_SITE_CODE": site, "MUSTER_ENROLLMENT_KEY": enrollmentKey,
		"MUSTER_TRUST_CA_FILE": s.CA, "MUSTER_STATE_DIR": m.dir, "MUSTER_MACHINE_UID": m.uid,
	}
	a := m.start()
	a.said("connected to the relay")
	s.onlyMachine(m)

	m.is("connected")
	r := m.must(0, "status", "--json")
	var got map[string]any
	is.NoErr(json.Unmarshal([]byte(r.out), &got))
	saidNow := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	want := map[string]any{
		"version": anything, "state": "connected", "machine_uid": m.uid, "machine_uid_source": "configured",
		"agent_id": regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`), "hostname": anything,
		"credential": map[string]any{
			"present": true, "source": "enrolled", "stored_at": saidNow, "protection": protection,
			"fingerprint": regexp.MustCompile(`^[0-9a-f]{8}$`),
		},
		"enrollment": map[string]any{
			"site":    map[string]any{"state": "enrolled", "since": saidNow, "next_attempt": nil, "last_error": nil},
			"manager": map[string]any{"state": "not_configured", "polls": 0.0, "next_attempt": nil, "last_error": nil},
		},
		"certificate": map[string]any{
			"status": "not_configured", "not_before": nil, "not_after": nil, "renew_at": nil, "subject": nil, "detail": nil,
		},
		"relay":              map[string]any{"state": "connected", "since": saidNow, "last_error": nil},
		"clock_skew_seconds": 0.0,
		"listener":           map[string]any{"addr": nil},
		"blocked":            nil,
	}
	skew, known := got["clock_skew_seconds"].(float64)
	is.True(known && math.Abs(skew) < 60) // what rounding and a busy machine make of none
	got["clock_skew_seconds"] = 0.0
	matches(t, "", want, got)

	code, _ := a.stop()
	is.Equal(code, 0)
	r = m.must(1, "status", "--json") // from disk
	got = nil
	is.NoErr(json.Unmarshal([]byte(r.out), &got))
	want["state"] = "stopped"
	want["credential"].(map[string]any)["source"] = "stored"
	want["relay"] = map[string]any{"state": "connecting", "since": nil, "last_error": nil}
	want["clock_skew_seconds"] = nil
	matches(t, "", want, got)
}

// anything is any text that is not empty.
var anything = regexp.MustCompile(`.`)

// matches compares decoded JSON; a *regexp.Regexp is for a text.
func matches(t *testing.T, where string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok || !slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))) {
			t.Errorf("%s: got %v, want the members of %v", where, got, want)
			return
		}
		for name := range want {
			matches(t, where+"."+name, want[name], got[name])
		}
	case *regexp.Regexp:
		if text, ok := got.(string); !ok || !want.MatchString(text) {
			t.Errorf("%s: got %v, want %v", where, got, want)
		}
	default:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", where, got, want)
		}
	}
}

func TestAfterSIGKILLItConnectsAtOnceWithoutEnrolling(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.shippedDelays()
	a := m.start().connected()
	s.onlyMachine(m)
	key, id := m.key(), m.agentID()
	a.kill()

	lives := 1
	quickly(t, 4*time.Second, func() time.Duration { // the first transient delay is 5 s: it did not wait for one
		a.kill()
		began := time.Now()
		a = m.start().connected()
		lives++
		return time.Since(began)
	})
	s.joined(m)
	is.Equal(s.State().Relay[0].AgentID, id)
	is.Equal(m.status().Credential.Source, "stored")
	code, _ := a.stop()
	is.Equal(code, 0)

	is.Equal(s.enrollments(), 1)     // that of the first life
	is.Equal(s.connections(), lives) // one of each life
	s.relayConnections(lives)        // all were accepted
	is.Equal(m.key(), key)
}

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
	is.True(st.Certificate.NotAfter != nil && st.Certificate.RenewAt != nil && st.Certificate.RenewAt.Before(*st.Certificate.NotAfter)) // due before its end
	m.settled()
	is.Equal(len(s.Hosts()), 1)
	is.True(s.Hosts()[0].CSR) // the key was made here
	is.Equal(len(s.RequestsTo(pollPath)), 3)

	// A restart asks for nothing again.
	is.Equal(first(a.stop()), 0)
	a = m.start().connected()
	a.serves()
	is.Equal(len(s.Hosts()), 1)
	is.Equal(len(s.RequestsTo(registerPath)), 1)
	is.Equal(len(s.Hosts()[0].Certificates), 1)
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
	is.True(m.stored())                               // the site's key
	is.True(m.has(certFile))                          // the manager's certificate
	is.True(!strings.Contains(r.errs, `"listening"`)) // enroll never listens
	is.Equal(s.connections(), 0)

	s = startServer(t, "--approve", "manual")
	m = newMachine(t, s)
	m.atManager(s)
	a := m.start("enroll")
	a.logged("credential.stored", 1)
	a.logged("enroll.pending", 1)
	is.Equal(first(a.stop()), 2)
	is.True(m.stored()) // the site's enrollment is not held up
	s.refuse(401)       // 1 is worse than 2
	m = newMachine(t, s)
	m.atManager(s)
	s.Decide("e1", "remove")
	m.must(1, "enroll", "--wait", "1s")
}

// first is the exit code of an agent that was stopped.
func first(code int, _ time.Duration) int { return code }
