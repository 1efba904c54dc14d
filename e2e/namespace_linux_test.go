package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
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
