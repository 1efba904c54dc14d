//go:build unix

package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

// ordinary is a user without rights (nobody).
const ordinary = 65534

// asOrdinaryUser runs the machine's processes without root's rights, for which
// no permission means anything.
func (m *machine) asOrdinaryUser() {
	m.t.Helper()
	if os.Geteuid() != 0 {
		return // they run so already
	}
	if err := os.Chown(m.home, ordinary, ordinary); err != nil {
		m.t.Fatal(err)
	}
	m.sys = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
}

func (m *machine) chmod(name string, mode fs.FileMode) {
	m.t.Helper()
	if err := os.Chmod(m.path(name), mode); err != nil {
		m.t.Fatal(err)
	}
}

func TestWhatMayNotBeReadWaitsForAPerson(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		mode    fs.FileMode // that a person gives back
		blocked bool        // meanwhile; else it does without the file
	}{
		{credentialFile, 0o600, true},
		{"credentials", 0o700, true},
		{identityFile, 0o600, true},
		{retryFile, 0o600, false},
		{"enrollment", 0o700, false},
		{lockFile, 0o600, false},
		{socketFile, 0o600, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			m := newMachine(t, s).hasty()
			m.asOrdinaryUser()
			a := m.start().connected()
			s.onlyMachine(m)
			key := m.read(credentialFile)
			a.kill()
			m.chmod(test.name, 0)

			a = m.start()
			if test.blocked {
				a.logged("store.blocked", 3)
				st := m.status()
				is.Equal(st.State, "blocked")
				is.Equal(st.code, 1)
				if !strings.Contains(st.Blocked, test.name) || !strings.Contains(st.Blocked, "chmod u+rwX") {
					t.Errorf("the status does not say what to do about %s: %+v", test.name, st)
				}
				m.chmod(test.name, test.mode)
			}
			a.connected()
			s.onlyMachine(m)
			is.Equal(m.is("connected").Blocked, "")
			is.Equal(s.enrollments(), 1)
			m.chmod(test.name, test.mode)
			is.True(bytes.Equal(m.read(credentialFile), key)) // the same key
			is.Equal(m.setAside(), nil)
			code, _ := a.stop()
			is.Equal(code, 0)
		})
	}
}

func TestWithoutARetryRecordThatMayBeReadNothingIsSent(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	s.refuse(503)
	m := newMachine(t, s)
	m.delays(time.Hour, time.Hour) // so that no request is under way when it is killed
	m.asOrdinaryUser()
	a := m.start()
	a.logged("enroll.retry", 1)
	a.kill()
	m.hasty()
	m.chmod(retryFile, 0)
	s.heal()
	tries := s.enrollments()

	a = m.start()
	l := a.waited("enroll.retry", 3)
	is.Equal(l.Class, "transient")
	is.True(strings.Contains(l.Msg, "chmod u+rwX"))
	is.Equal(s.enrollments(), tries)
	m.chmod(retryFile, 0o600)
	a.connected()
	s.onlyMachine(m)
}

func TestAStateDirectoryThatMayNotBeOpenedWaitsForAPerson(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s).hasty()
	m.asOrdinaryUser()
	m.must(0, "enroll")
	m.chmod(".", 0)
	a := m.start()
	l := a.logged("store.blocked", 3)
	is.True(strings.Contains(l.Msg, m.dir))
	m.chmod(".", 0o700)
	a.connected()
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)
}

func TestAKeyThatOthersMayReadIsNotUsedUntilAPersonSaysSo(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s).hasty()
	m.must(0, "enroll")
	key := m.read(credentialFile)
	m.chmod(credentialFile, 0o640)
	r := m.must(1, "enroll")
	is.True(strings.Contains(r.out+r.errs, "chmod 600"))
	a := m.start()
	a.logged("store.blocked", 2)
	st := m.is("blocked")
	is.Equal(st.code, 1)
	is.True(strings.Contains(st.Blocked, "chmod 600 "+m.path(credentialFile)))
	is.Equal(s.connections(), 0)
	m.chmod(credentialFile, 0o600)
	a.connected()
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)
	is.True(bytes.Equal(m.read(credentialFile), key)) // the same key
}

func TestAStateDirectoryThatOthersMayWriteIsNotTrusted(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s).hasty()
	m.must(0, "enroll")
	m.chmod(".", 0o777)
	a := m.start()
	is.True(strings.Contains(a.logged("store.blocked", 2).Msg, "chmod 700 "+m.dir))
	is.Equal(s.connections(), 0)
	m.chmod(".", 0o700)
	a.connected()
	a.kill()

	// One that others may only read is repaired.
	m.chmod(".", 0o755)
	m.start().connected()
	info, err := os.Stat(m.dir)
	is.NoErr(err)
	is.Equal(info.Mode().Perm(), fs.FileMode(0o700))
	is.Equal(s.enrollments(), 1)
}

func TestTheFilesAreTheirOwnersAlone(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	s.fault(relayPath, 1, action{Status: 401})
	m := newMachine(t, s).hasty()
	m.start().connected()
	m.is("connected") // its socket is there
	files := 0
	walk(t, m.dir, func(path string, d fs.DirEntry) {
		info, err := d.Info()
		is.NoErr(err)
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		files++
	})
	is.True(files >= len(stateFiles)) // all of them were looked at
}

func TestWhatRootMakesInAnotherUsersDirectoryIsThatUsers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to another user")
	}
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.asOrdinaryUser()
	user := m.sys
	is.NoErr(os.Mkdir(m.dir, 0o700))
	is.NoErr(os.Chown(m.dir, ordinary, ordinary))

	m.sys = nil // root
	m.must(0, "identify", "--save")
	m.must(0, "enroll")
	walk(t, m.dir, func(path string, d fs.DirEntry) {
		info, err := d.Info()
		is.NoErr(err)
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != ordinary {
			t.Errorf("%s belongs to %d", path, uid)
		}
	})
	m.sys = user
	m.start().connected()
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)

	m.sys = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary - 1, Gid: ordinary - 1}}
	r := m.must(1, "status")
	is.True(strings.Contains(r.errs, "needs root"))
	m.must(1, "status", "--json")
}
