//go:build systemd

package systemdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muster-agent/muster/e2e/control"
)

const (
	// insideVariable names the test that runs on a machine of its own.
	insideVariable = "MUSTER_SYSTEMDTEST_INSIDE"
	// lifetime bounds a machine's, from its boot to its end. The test on it has
	// less, and what it waits for less still, so that the innermost says what
	// did not happen.
	lifetime = 6 * time.Minute
	// lanes is how many machines run at a time: they mostly wait.
	lanes = "4"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(initVariable); name != "" {
		fmt.Fprintln(os.Stderr, becomeSystemd(name))
		os.Exit(1)
	}
	control.Lanes(lanes)
	os.Exit(m.Run())
}

// booted boots a machine of its own, runs the calling test once more on it,
// and is true there. Elsewhere it is false, and the test is over.
//
// The machine consists of namespaces and an overlay over this one's root:
// there is no image. Its PID 1 is this one's systemd; its network is a loopback
// interface; nothing that it does outlasts it.
func booted(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return true
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a machine its namespaces")
	}
	dir := t.TempDir()
	for _, folder := range []string{"root", "results"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	groups := makeCgroups(t)
	defer removeCgroups(t, groups)

	ctx, cancel := context.WithTimeout(context.Background(), lifetime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), initVariable+"="+t.Name(), dirVariable+"="+dir, cgroupsVariable+"="+strings.Join(groups, ":"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL, // no machine outlives its test, however that ends
	}
	runtime.LockOSThread() // whose death Pdeathsig means
	err := cmd.Run()
	runtime.UnlockOSThread()

	if ctx.Err() != nil {
		err = fmt.Errorf("the machine did not end within %v: %w", lifetime, err)
	}
	told, readErr := os.ReadFile(filepath.Join(dir, "results", "out"))
	text := string(told)
	if err == nil && readErr == nil && strings.Contains(text, "\nPASS\n") && strings.Contains(text, "--- PASS: "+t.Name()+" ") {
		if testing.Verbose() {
			t.Log(text)
		}
		return false
	}
	if strings.Contains(text, "--- SKIP: "+t.Name()+" ") {
		t.Skip(text)
	}
	t.Fatalf("on the machine: %v\n%s%s", errors.Join(err, readErr), &out, text)
	return false
}

// hierarchies are the folders of this machine's control groups: one for each
// of version 1's, or the one of version 2.
func hierarchies() ([]string, error) {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		return []string{"/sys/fs/cgroup"}, nil
	}
	entries, err := os.ReadDir("/sys/fs/cgroup")
	var found []string
	for _, entry := range entries {
		if entry.IsDir() { // others are further names of one that controls several things
			found = append(found, filepath.Join("/sys/fs/cgroup", entry.Name()))
		}
	}
	return found, err
}

// groupPrefix is followed by the process and a number.
const groupPrefix = "muster-systemdtest-"

// makeCgroups makes a control group for a machine in each hierarchy.
func makeCgroups(t *testing.T) (groups []string) {
	t.Helper()
	all, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		sweep(h)
		group, err := os.MkdirTemp(h, groupPrefix+strconv.Itoa(os.Getpid())+"-")
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, group)
		// Version 1's cpuset lets nobody in who has neither processors nor
		// memory.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(h, name)); err == nil && filepath.Base(h) == "cpuset" {
				if err := os.WriteFile(filepath.Join(group, name), value, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return groups
}

// sweep removes what runs that were killed left in a hierarchy.
func sweep(hierarchy string) {
	left, _ := filepath.Glob(filepath.Join(hierarchy, groupPrefix+"*")) // the pattern is sound
	for _, group := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(group), groupPrefix), "-")
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, fs.ErrNotExist) {
			_ = removeGroup(group) // another run may be at it, too
		}
	}
}

// removeCgroups removes the groups of a machine that has ended. Its last
// processes may take a moment.
func removeCgroups(t *testing.T, groups []string) {
	for _, group := range groups {
		deadline := time.Now().Add(patience)
		for {
			err := removeGroup(group)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("a control group of the machine is left: %v", err)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// removeGroup removes a control group with those in it.
func removeGroup(group string) error {
	below, err := os.ReadDir(group)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, entry := range below {
		if entry.IsDir() {
			err = errors.Join(err, removeGroup(filepath.Join(group, entry.Name())))
		}
	}
	return errors.Join(err, syscall.Rmdir(group))
}
