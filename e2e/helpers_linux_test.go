package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// insideVariable names the test that runs in a namespace of its own.
const insideVariable = "MUSTER_E2E_INSIDE"

// inNamespace runs the calling test once more, in a process that may mount file
// systems without anybody else seeing them, and is true there. Elsewhere it is
// false, and the test is over.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return true
	}
	cmd := exec.Command(testBinary(t), "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name(), binariesVariable+"="+filepath.Dir(muster))
	cmd.SysProcAttr = namespaces(syscall.CLONE_NEWNS)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this system lends no namespaces to this user: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// namespaces starts a process in its own ones, where it is root.
func namespaces(flags uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
}

// asHost gives the machine's processes a host of another name, or skips the
// test.
func (m *machine) asHost(name string) {
	m.t.Helper()
	m.host, m.sys = name, namespaces(syscall.CLONE_NEWUTS)
	if err := m.command(m.t.Context(), "version").Run(); err != nil {
		m.t.Skipf("this system lends no namespaces to this user: %v", err)
	}
}

// becomeAnotherHost makes the test binary another program.
func becomeAnotherHost() {
	name := os.Getenv(hostVariable)
	if name == "" {
		return
	}
	err := syscall.Sethostname([]byte(name))
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// change is something that happened to a file.
type change struct {
	what   string // "create pending.json.new", for one
	folder string // "enrollment", for one
	when   time.Time
}

// watch calls each with every change to a file of the directories, as it
// happens, until stop is called. (inotify(7): the kernel tells within
// microseconds; a system that has no room for another watcher fails the test.)
func watch(t *testing.T, each func(change), dirs ...string) (stop func()) {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	folders := map[int]string{}
	for _, dir := range dirs {
		const events = syscall.IN_CREATE | syscall.IN_MODIFY | syscall.IN_CLOSE_WRITE | syscall.IN_MOVED_TO | syscall.IN_DELETE
		w, err := syscall.InotifyAddWatch(fd, dir, events)
		if err != nil {
			t.Fatal(err)
		}
		folders[w] = filepath.Base(dir)
	}
	kernel := os.NewFile(uintptr(fd), "inotify")
	var reader sync.WaitGroup
	reader.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := kernel.Read(buffer)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil {
				t.Errorf("watching: %v", err)
				return
			}
			now := time.Now()
			for rest := buffer[:n]; len(rest) >= syscall.SizeofInotifyEvent; {
				folder := folders[int(binary.NativeEndian.Uint32(rest))]
				mask := binary.NativeEndian.Uint32(rest[4:])
				length := binary.NativeEndian.Uint32(rest[12:])
				name := string(bytes.TrimRight(rest[syscall.SizeofInotifyEvent:syscall.SizeofInotifyEvent+length], "\x00"))
				rest = rest[syscall.SizeofInotifyEvent+length:]
				if mask&syscall.IN_ISDIR == 0 && name != "" {
					each(change{verb(mask) + " " + name, folder, now})
				}
			}
		}
	})
	return func() {
		_ = kernel.Close() // which ends the reader
		reader.Wait()
	}
}

func verb(mask uint32) string {
	switch {
	case mask&syscall.IN_CREATE != 0:
		return "create"
	case mask&syscall.IN_MODIFY != 0:
		return "write"
	case mask&syscall.IN_CLOSE_WRITE != 0:
		return "close"
	case mask&syscall.IN_MOVED_TO != 0:
		return "name"
	case mask&syscall.IN_DELETE != 0:
		return "delete"
	}
	return "?"
}

// enrolling are the folders in which an enrollment at a manager takes place;
// they are made here, so that nothing happens in them unseen.
func (m *machine) enrolling() []string {
	m.t.Helper()
	dirs := []string{filepath.Dir(m.path(bundleFile)), filepath.Dir(m.path(certFile))}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			m.t.Fatal(err)
		}
	}
	return dirs
}
