//go:build systemd

package systemdtest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/matryer/is"
)

// Whatever the servers say: the process that the boot started is the one that
// is connected in the end.
func TestNothingThatAServerSaysEndsRun(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t, "--approve", "manual")
	noRelay, noManager := fault{relayPath, 503, ""}, fault{registerPath, 503, ""}
	srv.answers([]fault{{enrollPath, 503, ""}, noManager})
	s := install(t).atSite(srv).atManager(srv)
	s.env["MUSTER_OPERATOR_MIN"], s.env["MUSTER_OPERATOR_MAX"] = "6s", "6s" // long enough to be seen on a busy machine
	taken, err := net.Listen("tcp", listenAddr)
	is.NoErr(err)
	defer taken.Close()
	s.configure().start()
	l := s.life()

	inState := func(part, value string) func(status) bool {
		return func(st status) bool {
			return map[string]string{
				"": st.State, "site": st.Enrollment.Site.State, "manager": st.Enrollment.Manager.State,
				"relay": st.Relay.State, "certificate": st.Certificate.Status,
			}[part] == value
		}
	}
	seen := map[string]bool{}
	for _, step := range []struct {
		faults        []fault
		act           func()
		part, becomes string
	}{
		{[]fault{{enrollPath, 503, ""}, noManager}, nil, "site", "retrying"},
		{[]fault{{enrollPath, 201, "<html>a hotel's network</html>"}, noManager}, nil, "", "enrolling"},
		{[]fault{{enrollPath, 202, `{"state":"collision_pending"}`}, noManager}, nil, "site", "pending"},
		{[]fault{{enrollPath, 202, `{"state":"collision_pending"}`}, noManager}, nil, "", "pending"},
		{[]fault{{enrollPath, 401, `{"code":"ENROLL_REJECTED"}`}, noManager}, nil, "site", "rejected"},
		{[]fault{{enrollPath, 409, `{"code":"ENROLL_SITE_CONFLICT"}`}, noManager}, nil, "site", "site_conflict"},
		{[]fault{{enrollPath, 404, ""}, noManager}, nil, "site", "unexpected"},
		{[]fault{{enrollPath, 404, ""}, noManager}, nil, "", "blocked"},
		{[]fault{noRelay, noManager}, nil, "site", "enrolled"},
		{[]fault{noRelay, noManager}, nil, "relay", "connecting"},
		{[]fault{{relayPath, 401, ""}, noManager}, nil, "relay", "refused"},
		{[]fault{noManager}, nil, "relay", "connected"},
		{[]fault{noRelay, noManager}, func() { srv.disconnect(s.status().MachineUID) }, "relay", "connecting"},
		{[]fault{noManager}, nil, "manager", "retrying"},
		{[]fault{{registerPath, 409, ""}}, nil, "manager", "conflict"},
		{[]fault{{registerPath, 400, ""}}, nil, "manager", "unexpected"},
		{nil, nil, "manager", "pending"},
		{nil, func() { srv.Decide("e1", "deny") }, "manager", "denied"},
		{nil, nil, "manager", "pending"},
		{nil, func() { srv.Decide(srv.newest(), "approve") }, "certificate", "valid"},
		{nil, nil, "", "blocked"}, // the address is in use
		{nil, func() { is.NoErr(taken.Close()) }, "", "connected"},
	} {
		srv.answers(step.faults)
		if step.act != nil {
			step.act()
		}
		t.Logf("%s %s", step.part, step.becomes)
		seen[s.reaches(inState(step.part, step.becomes)).State] = true
		s.lives(l)
	}
	s.runs()
	for _, state := range []string{"enrolling", "pending", "blocked", "connected"} {
		is.True(seen[state])
	}

	// The last one, "serving", is that of certificates alone.
	s.stop()
	is.NoErr(os.RemoveAll(filepath.Dir(credentialFile)))
	s.env = quickEnv(50*time.Millisecond, 200*time.Millisecond)
	s.atManager(srv).configure().start()
	l = s.life()
	s.is("serving")
	s.lives(l)
}
