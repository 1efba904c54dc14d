//go:build systemd

package systemdtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestEnrollByHandWithTheServiceStopped(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).atSite(srv).atManager(srv).configure()
	// Before the service was ever started, and after.
	for enrollments := 1; enrollments <= 2; enrollments++ {
		s.must(0, muster, "enroll", "--force")
		s.belongsToTheService()
		s.start()
		l := s.connected()
		srv.onlyMachine(enrollments)
		is.Equal(s.status().Certificate.Status, "valid")
		is.Equal(len(srv.State().Enrollments), 1)
		s.lives(l)
		s.stop()
	}

	// Even where the directory is root's, made by hand before the service ran.
	is.NoErr(os.RemoveAll(stateDir))
	s.must(1, muster, "enroll") // the manager knows this host
	_, err := os.Stat(credentialFile)
	is.NoErr(err)
	s.start()
	srv.onlyMachine(3)
	s.belongsToTheService()
}

// belongsToTheService asserts that every file of the state directory is the
// service's.
func (s *service) belongsToTheService() {
	s.t.Helper()
	uid := strings.TrimSpace(s.must(0, "id", "--user", "muster").out)
	files := 0
	err := filepath.WalkDir(stateDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running service has replaced a file by it
		}
		if err != nil {
			return err
		}
		files++
		if owner := fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid); owner != uid {
			s.t.Errorf("%s belongs to %s, not to the service's user (%s)", path, owner, uid)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if files < 5 {
		s.t.Errorf("%d files are fewer than an enrollment leaves", files)
	}
}

func TestServiceStartsWhileEnrollByHandWaits(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t, "--approve", "manual")
	s := install(t).atManager(srv).configure()
	var out bytes.Buffer
	person := exec.Command(muster, "enroll")
	person.Stdout, person.Stderr = &out, &out
	is.NoErr(person.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = person.Wait() }() // its state says how it ended
	defer func() { _ = person.Process.Kill(); <-ended }() // it may have ended by itself
	id := srv.Registered(1).ID

	s.start()
	l := s.life()
	is.Equal(s.logged("lock", 1, nil).PID, person.Process.Pid)
	s.tells(fmt.Sprintf("waiting for 'muster enroll' (process %d) to end", person.Process.Pid))
	is.NoErr(person.Process.Signal(syscall.SIGINT))
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("muster enroll does not end")
	}
	if code := person.ProcessState.ExitCode(); code != 2 { // enrollment in progress
		t.Fatalf("muster enroll ended with %d\n%s", code, &out)
	}

	s.logged("manager.resumed", 1, nil)
	s.is("pending")
	srv.Decide(id, "approve")
	s.is("serving")
	s.lives(l)
	is.Equal(len(srv.State().Enrollments), 1)
	s.belongsToTheService()
}
