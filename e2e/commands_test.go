package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/e2e/control"
)

func TestEnrollEnrollsAndExits(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	r := m.must(0, "enroll")
	is.True(strings.Contains(r.out, "Enrolled"))
	is.Equal(s.enrollments(), 1)
	is.Equal(s.connections(), 0) // never connects
	key, id := m.key(), m.agentID()

	r = m.must(0, "enroll") // already
	is.True(strings.Contains(r.out, "--force"))
	is.True(strings.Contains(r.out, s.URL))
	is.Equal(s.enrollments(), 1)
	is.Equal(m.key(), key)

	r = m.must(0, "enroll", "--force")
	is.Equal(s.enrollments(), 2)
	is.Equal(s.RequestsTo(enrollPath)[1].Status, 200)
	is.True(m.key() != key) // another key
	is.Equal(m.agentID(), id)

	m.start().connected()
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 2)
}

// The exit codes of docs/SPEC.md, "Exit codes".
func TestTheEndsOfAnEnrollmentAtASiteAsAShellSeesThem(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t)
		s.refuse(401)
		m := newMachine(t, s)
		r := m.must(1, "enroll", "--wait", "1h")
		is.True(strings.Contains(r.out, "MUSTER_ENROLLMENT_KEY")) // what to look at
		is.Equal(s.enrollments(), 1)
		is.True(!m.stored()) // a refusal stores nothing
		s.heal()
		m.must(0, "enroll") // a person is not held back
	})
	t.Run("the server is down", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t)
		s.refuse(500)
		m := newMachine(t, s).hasty()
		r := m.must(1, "enroll")
		is.True(strings.Contains(r.out, "500")) // the last answer
		is.Equal(s.enrollments(), 5)
		began := time.Now()
		m.must(1, "enroll", "--wait", "1s")       // for as long as that, not five times
		is.True(time.Since(began) >= time.Second) // it waited
	})
	t.Run("an operator has not decided", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t)
		s.fault(enrollPath, 0, action{Status: 202})
		m := newMachine(t, s)
		r := m.must(2, "enroll", "--wait", aMoment)
		is.True(strings.Contains(r.out, "operator")) // who is waited for
		st := m.status()
		is.Equal(st.State, "stopped")
		is.Equal(st.Enrollment.Site.State, "pending")

		m.delays(time.Hour, time.Hour) // it does not wait for the next try
		a := m.start("enroll")
		a.said("operator")
		is.Equal(first(a.stop()), 2)
		m.hasty()
		a = m.start("enroll")
		a.said("operator")
		s.heal()
		is.Equal(a.wait(), 0) // it resumed
		is.True(m.stored())   // the key
	})
	t.Run("told to stop while nothing is decided", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		s.refuse(503)
		m := newMachine(t, s)
		m.delays(time.Hour, time.Hour)
		a := m.start("enroll")
		a.said("Trying again")
		is.New(t).Equal(first(a.signal(os.Interrupt)), 0)
	})
}

func TestBesideAServiceACommandSaysToStopItFirst(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	a := m.start().connected()
	s.onlyMachine(m)
	key := m.key()
	pid := fmt.Sprint(a.cmd.Process.Pid)
	for _, command := range [][]string{{"enroll"}, {"enroll", "--force"}, {"--enroll"}, {"unenroll", "--yes"}} {
		r := m.must(1, command...)
		is.True(strings.Contains(r.errs, pid))
		is.True(strings.Contains(r.errs, "stop the service first"))
	}
	r := m.must(1, "run")
	is.True(strings.Contains(r.errs, pid))
	r = m.must(0, "identify", "--save") // it is saved already
	is.True(strings.Contains(r.out, m.uid))

	a.runs()
	is.Equal(m.is("connected").code, 0)
	is.Equal(m.key(), key)
	is.Equal(s.enrollments(), 1)
	is.Equal(s.connections(), 1)
}

func TestAServiceWaitsForAPersonsEnrollmentAndTakesOver(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	s.fault(enrollPath, 0, action{Status: 202})
	m := newMachine(t, s)
	person := m.start("enroll")
	person.said("operator")
	service := m.start()
	l := service.logged("lock", 1)
	is.Equal(l.PID, person.cmd.Process.Pid)
	is.True(strings.Contains(l.Msg, "muster enroll"))
	r := m.must(1, "enroll")
	is.True(strings.Contains(r.errs, fmt.Sprint(person.cmd.Process.Pid))) // who has the lock
	eventually(t, func() string {                                         // a moment after it is logged
		if r := m.do("status", "--json"); strings.Contains(r.out, `"state":"stopped"`) || !strings.Contains(r.out, fmt.Sprintf("process %d", person.cmd.Process.Pid)) {
			return r.String()
		}
		return ""
	})

	s.heal()
	is.Equal(person.wait(), 0)
	key := m.key()
	service.connected()
	s.onlyMachine(m)
	is.Equal(m.key(), key)
	is.Equal(s.connections(), 1)
	is.Equal(s.State().Machines[0].Enrollments, 1)
	is.Equal(m.is("connected").code, 0)
}

func TestUnenrollRemovesWhatWasEnrolled(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.must(0, "enroll")
	m.write(credentialFile, m.read(credentialFile)[:50])
	m.must(0, "enroll") // a damaged copy lies beside the key now
	is.Equal(len(m.setAside()), 1)
	key, id := m.key(), m.agentID()

	for _, answer := range []string{"", "no\n", "y\n", "yes, no\n"} {
		r := m.answer(answer, "unenroll")
		is.Equal(r.code, 1)
		is.Equal(m.key(), key)
	}
	r := m.answer("yes\n", "unenroll")
	is.Equal(r.code, 0)
	is.True(strings.Contains(r.out, m.path(credentialFile)))
	is.True(!m.stored()) // removed
	is.Equal(m.setAside(), nil)
	is.Equal(m.agentID(), id) // it is the same machine still
	_, err := os.Stat(m.path(retryFile))
	is.True(os.IsNotExist(err)) // what was remembered of failures goes, too
	r = m.must(0, "unenroll", "--yes")
	is.True(strings.Contains(r.out, "nothing to remove"))
	is.Equal(s.enrollments(), 2) // the server was not told

	m.start().connected()
	s.onlyMachine(m)
	is.Equal(m.agentID(), id)
}

func TestIdentifySaysWhichMachineThisIs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t, nil)
	r := m.must(0, "identify")
	is.Equal(r.out, m.uid+" (configured)\n")
	_, err := os.Stat(m.dir)
	is.True(os.IsNotExist(err)) // only looking makes nothing

	r = m.must(0, "identify", "--save")
	is.Equal(r.out, m.uid+" (configured)\n")
	id := m.agentID()
	saved := m.read(identityFile)
	var said map[string]string
	control.Decode(t, []byte(m.must(0, "identify", "--json").out), &said)
	is.Equal(said["machine_uid"], m.uid)
	is.Equal(said["machine_uid_source"], "configured")
	m.must(0, "identify", "--save")
	is.Equal(string(m.read(identityFile)), string(saved))

	s := startServer(t)
	m.configure(s.URL, s.CA)
	m.start().connected()
	s.onlyMachine(m)
	is.Equal(s.State().Relay[0].AgentID, id)
}

func TestVersionHelpAndCompletion(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t, nil)
	m.env = map[string]string{"MUSTER_SERVER_URL": "ftp://nobody-reads-the-configuration"}
	is.True(strings.HasPrefix(m.must(0, "version").out, "muster "))
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := m.must(0, "completion", shell).out
		is.True(strings.Contains(script, "muster"))
		if program, err := exec.LookPath(shell); err == nil && shell != "powershell" { // which has no -n
			check := exec.Command(program, "-n")
			check.Stdin = strings.NewReader(script)
			out, err := check.CombinedOutput()
			if err != nil {
				t.Errorf("%s does not accept its completions: %v\n%s", shell, err, out)
			}
		}
	}
	for _, help := range [][]string{nil, {"help"}, {"--help"}, {"help", "enroll"}, {"enroll", "--help"}} {
		r := m.must(0, help...)
		is.True(strings.Contains(r.out, "muster"))
	}
}
