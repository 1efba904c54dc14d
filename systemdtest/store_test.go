//go:build systemd

package systemdtest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

// disk is where the file system of the state directory is mounted besides.
const disk = "/mnt/muster-disk"

// ownDisk gives the state directory a small file system of its own, which
// belongs to the service's user.
func (s *service) ownDisk() {
	s.t.Helper()
	s.must(0, "install", "-d", "-m", "0700", "-o", "muster", "-g", "muster", stateDir)
	s.must(0, "mkdir", "-p", disk)
	s.must(0, "mount", "-t", "tmpfs", "-o", "size=256k,mode=0700,uid=muster,gid=muster", "tmpfs", disk)
	s.must(0, "mount", "--bind", disk, stateDir)
}

var ballast = filepath.Join(stateDir, "ballast")

// fillDisk leaves nothing free.
func (s *service) fillDisk() {
	s.t.Helper()
	f, err := os.Create(ballast)
	if err != nil {
		s.t.Fatal(err)
	}
	page := make([]byte, os.Getpagesize())
	for err == nil {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) freeDisk() {
	s.t.Helper()
	if err := os.Remove(ballast); err != nil {
		s.t.Fatal(err)
	}
}

// The file system becomes read-only, as one with errors does: the mount that
// the service sees has no such flag of its own.
func TestReadOnlyStateDirectory(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).quick(quickestMin, quickestMax)
	s.ownDisk()
	readOnly := func(mode string) { t.Helper(); s.must(0, "mount", "-o", "remount,"+mode, disk) }
	readOnly("ro")
	s.atSite(srv).configure().start()
	l := s.triesInVain()
	s.tells("could not be written")
	is.Equal(srv.requests(enrollPath), 0) // the key would have nowhere to be
	s.lives(l)
	readOnly("rw")
	s.is("connected")
	s.lives(l)
	srv.onlyMachine(1)

	readOnly("ro")
	s.must(0, "systemctl", "restart", unit)
	again := s.life()
	s.tells("connected to the relay") // there may be no socket to ask
	srv.onlyMachine(1)
	s.lives(again)
	readOnly("rw")
	s.is("connected")
	s.lives(again)
}

// A service has its own view of the mounts, with the flags that they had when
// it was started: that a mount may be written again it learns by a restart.
func TestStateDirectoryMountedReadOnly(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := install(t).quick(quickestMin, quickestMax)
	s.ownDisk()
	s.must(0, "mount", "-o", "remount,bind,ro", stateDir)
	s.atSite(srv).configure().start()
	s.triesInVain()
	s.tells("could not be written")
	is.Equal(srv.requests(enrollPath), 0)

	s.must(0, "mount", "-o", "remount,bind,rw", stateDir)
	s.must(0, "systemctl", "restart", unit)
	again := s.connected()
	srv.onlyMachine(1)
	s.lives(again)
}
