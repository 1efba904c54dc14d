package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// machine is a machine of the demo: a state directory, a machine_uid, and
// while it is switched on an agent.
type machine struct {
	name     string
	uid      string
	settings []string // of its agent, as in an environment
	story    *story
	process  *process // nil while switched off
}

// newMachine makes a machine that was never started, with the settings for
// site enrollment. The demo gives its machines their uids, since they all run
// on one real machine.
func (s *story) newMachine(name string) *machine {
	var id [32]byte
	rand.Read(id[:]) // never fails, see crypto/rand
	m := &machine{name: name, uid: "muid_" + hex.EncodeToString(id[:]), story: s}
	m.settings = []string{
		"MUSTER_SERVER_URL=" + s.server.URL(),
		"MUSTER_SITE_CODE=" + s.site.SiteCode,
		"MUSTER_ENROLLMENT_KEY=" + s.site.EnrollmentKey,
	}
	s.machines = append(s.machines, m)
	return m
}

func (m *machine) stateDir() string { return filepath.Join(m.story.dir, m.name) }
func (m *machine) logFile() string  { return filepath.Join(m.story.dir, m.name+".log") }

// environ is the agent's environment: that of this process without what would
// configure an agent, and the machine's settings.
func (m *machine) environ() []string {
	environ := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return strings.HasPrefix(name, "MUSTER_") ||
			slices.Contains([]string{"STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}, name)
	})
	environ = append(environ, m.settings...)
	return append(environ,
		"MUSTER_TRUST_CA_FILE="+m.story.caFile,
		"MUSTER_STATE_DIR="+m.stateDir(),
		"MUSTER_MACHINE_UID="+m.uid,
		"MUSTER_LISTEN_ADDR=127.0.0.1:0",
		// Delays of a demo, not of a fleet.
		"MUSTER_TRANSIENT_MIN=100ms", "MUSTER_TRANSIENT_MAX=500ms",
		"MUSTER_PENDING_MIN=300ms", "MUSTER_PENDING_MAX=1s",
		"MUSTER_OPERATOR_MIN=1s", "MUSTER_OPERATOR_MAX=5s",
	)
}

// start switches the machine on: its agent runs as it would as a service.
func (m *machine) start() error {
	log, err := os.OpenFile(m.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(m.story.muster, "run", "--config", m.story.configFile())
	cmd.Dir = m.story.dir
	cmd.Env = m.environ()
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	if err := errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("starting the agent of %s: %w", m.name, err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.waitErr = cmd.Wait()
	}()
	m.process = p
	return nil
}

// kill switches the machine off as a power cut does.
func (m *machine) kill() {
	if m.process == nil {
		return
	}
	// One that has ended by itself is as dead.
	_ = m.process.cmd.Process.Kill()
	<-m.process.ended
	m.process = nil
}

// stop tells the agent to stop, as a service manager does, and waits for it.
func (m *machine) stop(ctx context.Context) error {
	if runtime.GOOS == "windows" { // which has no such signal for a process
		m.kill()
		return nil
	}
	p := m.process
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("telling the agent of %s to stop: %w", m.name, err)
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return fmt.Errorf("the agent of %s does not stop: %w", m.name, context.Cause(ctx))
	}
	m.process = nil
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the agent of %s was told to stop and ended with %d instead of 0", m.name, code)
	}
	return nil
}

// process is a running agent.
type process struct {
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it has ended
	waitErr error         // readable then
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// err says how the process ended. It must have.
func (p *process) err() error {
	if p.waitErr != nil {
		return p.waitErr
	}
	return errors.New("exit status 0")
}
