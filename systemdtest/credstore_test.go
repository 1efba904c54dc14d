//go:build systemd

package systemdtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"
)

// credstoreFile is where the unit's LoadCredential= finds the enrollment key.
const credstoreFile = "/etc/credstore/enrollment_key"

func (s *service) credstore(key string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(credstoreFile), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(credstoreFile, []byte(key), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func TestEnrollmentKeyInTheCredstore(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv)
	delete(s.env, "MUSTER_ENROLLMENT_KEY")
	s.credstore(enrollmentKey + "\n")
	s.env["MUSTER_FORGET_ENROLLMENT_KEY"] = "true"
	s.configure().start()
	l := s.connected()
	srv.onlyMachine(1)
	s.lives(l)
	// Forgetting it is not the agent's to do, and it says whose it is.
	s.says(credstoreFile)
	key, err := os.ReadFile(credstoreFile)
	is.NoErr(err)
	is.Equal(string(key), enrollmentKey+"\n")

	// Once enrolled it needs none.
	is.NoErr(os.Remove(credstoreFile))
	s.must(0, "systemctl", "restart", unit)
	again := s.connected()
	srv.onlyMachine(1)
	is.Equal(srv.requests(enrollPath), 1)
	s.lives(again)
}

func TestCredstoreFileEmpty(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv)
	delete(s.env, "MUSTER_ENROLLMENT_KEY")
	s.credstore("")
	s.configure().restartAtOnce()
	s.do("systemctl", "start", unit) // for a unit that fails at once: 1
	s.says("MUSTER_ENROLLMENT_KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing")
	is.Equal(srv.requests(enrollPath), 0)

	// It is no error beside a key that is stored.
	s.credstore(enrollmentKey)
	s.must(0, "systemctl", "restart", unit)
	s.connected()
	s.credstore("")
	s.must(0, "systemctl", "restart", unit)
	s.connected()
	srv.onlyMachine(1)
}

func TestForgetTheEnrollmentKey(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv).restartAtOnce()
	delete(s.env, "MUSTER_ENROLLMENT_KEY")
	s.env["MUSTER_FORGET_ENROLLMENT_KEY"] = "true"
	for enrollments, place := range []struct {
		file, owner string
		restart     bool
	}{
		{stateDir + "/site-key", "muster:muster", false},
		// The service may not write there, but the step before its next start.
		{"/etc/muster/site-key", "root:muster", true},
	} {
		is.NoErr(os.WriteFile(place.file, []byte(enrollmentKey+"\n"), 0o640))
		s.must(0, "chown", place.owner, place.file)
		s.env["MUSTER_ENROLLMENT_KEY_FILE"] = place.file
		s.configure().start()
		s.connected()
		srv.onlyMachine(enrollments + 1)
		if place.restart {
			s.must(0, "systemctl", "restart", unit)
		}
		s.eventually(func() string {
			if _, err := os.Stat(place.file); os.IsNotExist(err) {
				return ""
			}
			return place.file + " is still there"
		})

		// It goes on without.
		s.must(0, "systemctl", "restart", unit)
		l := s.connected()
		srv.onlyMachine(enrollments + 1)
		s.lives(l)
		s.stop()
		is.NoErr(os.RemoveAll(filepath.Dir(credentialFile))) // as a new machine
	}
}
