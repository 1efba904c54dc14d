//go:build unix

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

// supervisor is a socket as systemd's, and what came to it.
type supervisor struct {
	t    *testing.T
	mu   sync.Mutex
	said []string
}

// supervise has the machine's processes tell a supervisor.
func supervise(t *testing.T, m *machine) *supervisor {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // short: a socket's address holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &supervisor{t: t}
	go func() {
		b := make([]byte, 8192)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.said = append(s.said, string(b[:n]))
			s.mu.Unlock()
		}
	}()
	m.env["NOTIFY_SOCKET"] = path
	return s
}

func (s *supervisor) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}

// hears waits until it has been told n messages that begin so, and returns the
// n-th.
func (s *supervisor) hears(begin string, n int) string {
	s.t.Helper()
	var found []string
	eventually(s.t, func() string {
		found = slices.DeleteFunc(s.heard(), func(m string) bool { return !strings.HasPrefix(m, begin) })
		if len(found) >= n {
			return ""
		}
		return fmt.Sprintf("%q was told %d times, not %d: %q", begin, len(found), n, s.heard())
	})
	return found[n-1]
}

func TestSystemdIsToldHowItStands(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	s.fault(enrollPath, 2, action{Status: 202})
	m := newMachine(t, s)
	m.delay("PENDING", time.Second, 2*time.Second)
	told := supervise(t, m)
	m.env["WATCHDOG_USEC"] = "1000000" // not so often that a test that is late lets the socket's queue (10 messages) overflow
	a := m.start()
	told.hears("READY=1", 1)
	waiting := told.hears("STATUS=waiting for an operator's confirmation since ", 1)
	is.True(strings.Contains(waiting, ", next check in "))
	told.hears("STATUS=connected to the relay since ", 1)
	fed := len(slices.DeleteFunc(told.heard(), func(m string) bool { return m != "WATCHDOG=1" }))
	told.hears("WATCHDOG=1", fed+5)
	code, _ := a.stop()
	is.Equal(code, 0)
	told.hears("STOPPING=1", 1)
	for _, message := range told.heard() {
		is.True(!strings.Contains(message, "cek_") && !strings.Contains(message, "cak_"))
	}
}

// An end before READY=1 would be a failed start, which is tried again.
func TestWithNothingConfiguredSystemdSeesAStartAndAnEnd(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	m := newMachine(t, nil)
	told := supervise(t, m)
	m.must(0, "run")
	told.hears("STOPPING=1", 1)
	said := told.heard()
	is.Equal(said[0], "READY=1")
	is.True(strings.Contains(said[1], "MUSTER_SERVER_URL"))
}

// inFile moves what is configured from the environment to a file, and returns
// what that holds, too.
func (m *machine) inFile() (file, content string) {
	m.t.Helper()
	file = filepath.Join(m.home, "agent.env")
	var text strings.Builder
	for name, value := range m.env {
		if name != "MUSTER_STATE_DIR" && strings.HasPrefix(name, "MUSTER_") {
			fmt.Fprintf(&text, "%s='%s'\n", name, value)
			delete(m.env, name)
		}
	}
	m.put(file, text.String())
	return file, text.String()
}

// put replaces a file in one step.
func (m *machine) put(path, text string) {
	m.t.Helper()
	if err := errors.Join(os.WriteFile(path+".put", []byte(text), 0o600), os.Rename(path+".put", path)); err != nil {
		m.t.Fatal(err)
	}
}

// reloaded sends SIGHUP for the n-th time and waits until that is over.
func (a *agent) reloaded(told *supervisor, n int) {
	a.m.t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		a.m.t.Fatal(err)
	}
	if !strings.Contains(told.hears("RELOADING=1", n), "\nMONOTONIC_USEC=") {
		a.m.t.Error("systemd is not told when the reload began")
	}
	told.hears("READY=1", n+1)
}

func TestSIGHUPReadsTheConfigurationAgain(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	told := supervise(t, m)
	file, before := m.inFile()
	a := m.start("run", "--config", file).connected()

	a.reloaded(told, 1) // nothing has changed: nothing is disturbed
	is.True(strings.Contains(a.logged("configuration", 1).Msg, "nothing has changed"))

	m.put(file, before+"MUSTER_LOG_LEVEL=loud\nMUSTER_SITE_KODE=A\n") // a bad one
	a.reloaded(told, 2)
	said := a.logged("configuration", 2)
	is.True(strings.Contains(said.Msg, "the one before stays"))
	is.True(strings.Contains(said.Msg, "MUSTER_LOG_LEVEL") && strings.Contains(said.Msg, "MUSTER_SITE_KODE"))

	is.Equal(s.connections(), 1) // until now it has kept its connection

	m.put(file, before+"MUSTER_RELAY_AUTH=header\n") // a good one
	a.reloaded(told, 3)
	is.True(strings.Contains(a.logged("configuration", 3).Msg, "takes effect"))
	a.logged("relay.connected", 2)
	eventually(t, func() string {
		if w := s.State(); s.connections() != 2 || len(w.Relay) != 1 || w.Relay[0].Auth != "header" {
			return fmt.Sprintf("it has connected %d times: %+v", s.connections(), w.Relay)
		}
		return ""
	})
	a.runs() // the same process
	m.is("connected")
	m.must(1, "run", "--config", file) // which has the lock still
	is.Equal(s.enrollments(), 1)
	if lines, _ := a.log.lines("stopping"); len(lines) > 0 {
		t.Errorf("it says that it stops: %v", lines)
	}
	code, _ := a.stop()
	is.Equal(code, 0)
	told.hears("STOPPING=1", 1)
}

// The directory stays; all else takes effect.
func TestAReloadCannotMoveTheStateDirectory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	told := supervise(t, m)
	file, before := m.inFile()
	delete(m.env, "MUSTER_STATE_DIR")
	m.put(file, before+"MUSTER_STATE_DIR="+m.dir+"\n")
	a := m.start("run", "--config", file).connected()
	moved := filepath.Join(m.home, "elsewhere")
	m.put(file, before+"MUSTER_RELAY_AUTH=header\nMUSTER_STATE_DIR="+moved+"\n")
	a.reloaded(told, 1)
	is.True(strings.Contains(a.logged("configuration", 1).Msg, "MUSTER_STATE_DIR"))
	is.True(strings.Contains(a.logged("configuration", 2).Msg, "takes effect"))
	a.logged("relay.connected", 2)
	_, err := os.Stat(moved)
	is.True(os.IsNotExist(err)) // nothing was made there
	is.Equal(s.enrollments(), 1)
}

func TestTheEnrollmentKeyIsForgotten(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"file", "line"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			s := startServer(t)
			m := newMachine(t, s)
			told := supervise(t, m)
			m.env["MUSTER_FORGET_ENROLLMENT_KEY"] = "true"
			keyFile := filepath.Join(m.home, "enrollment_key")
			if place == "file" {
				m.put(keyFile, enrollmentKey+"\n")
				delete(m.env, "MUSTER_ENROLLMENT_KEY")
				m.env["MUSTER_ENROLLMENT_KEY_FILE"] = keyFile
			}
			file, _ := m.inFile()
			a := m.start("run", "--config", file).connected()
			a.logged("enrollment_key", 1)
			a.reloaded(told, 1) // a key that is gone is no change
			is.True(strings.Contains(a.logged("configuration", 1).Msg, "nothing has changed"))
			a.stop()
			for _, path := range []string{keyFile, file} {
				data, err := os.ReadFile(path)
				is.True(err == nil || os.IsNotExist(err))
				is.True(!bytes.Contains(data, []byte(enrollmentKey)))
			}
			m.start("run", "--config", file).connected() // it needs no key
			is.Equal(s.enrollments(), 1)
			m.must(0, "config", "--config", file)
		})
	}
}

func TestALogThatNobodyReadsEndsNothing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	cmd := m.command(t.Context(), "run")
	read, write, err := os.Pipe()
	is.NoErr(err)
	cmd.Stdout, cmd.Stderr = write, write
	is.NoErr(cmd.Start())
	is.NoErr(errors.Join(write.Close(), read.Close())) // whoever reads the log is gone
	m.is("connected")
	is.NoErr(cmd.Process.Signal(syscall.SIGTERM))
	is.NoErr(cmd.Wait()) // exit code 0
}

// A step of the unit must not keep the service from starting for what the
// service waits out; a person is told by the exit code.
func TestIdentifyAsAStepOfAUnitFailsOnlyWhereRunWould(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	m.must(0, "enroll")
	newer := m.makeNewer(identityFile, "9.0.0")

	r := m.must(1, "identify", "--save")
	is.True(strings.Contains(r.errs, "9.0.0"))
	m.env["INVOCATION_ID"], m.env["STATE_DIRECTORY"] = strings.Repeat("0", 32), m.dir
	r = m.must(0, "identify", "--save")
	is.True(strings.Contains(r.errs, "9.0.0"))
	is.True(bytes.Equal(m.read(identityFile), newer)) // untouched

	m.env["MUSTER_POLLING_INTERVAL"] = "never" // run would end with 1, too
	m.must(1, "identify", "--save")
	delete(m.env, "MUSTER_POLLING_INTERVAL")

	other := newMachine(t, s)
	other.env["INVOCATION_ID"], other.env["STATE_DIRECTORY"] = m.env["INVOCATION_ID"], other.dir
	runtime := filepath.Join(other.home, "runtime")
	other.env["RUNTIME_DIRECTORY"] = runtime
	s.fault(enrollPath, 0, action{Status: 202})
	a := other.start("enroll")
	a.said("operator")
	is.NoErr(os.Remove(other.path(identityFile))) // as if it could not have been stored
	r = other.must(0, "identify", "--save")       // the service waits until the command has ended
	is.True(strings.Contains(r.errs, "muster enroll"))
	_, err := os.Stat(filepath.Join(runtime, identityFile))
	is.NoErr(err)
}
