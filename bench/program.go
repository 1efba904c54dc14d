//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// program is one of the two that are compared, with its words for the same
// thing.
type program struct {
	name, path           string
	nothing, enroll, run []string
}

// machine is the environment of a machine that has never been enrolled.
func (b *bench) machine() []string {
	var uid [32]byte
	_, _ = rand.Read(uid[:]) // it never fails
	b.states++
	return append(b.server.environ(),
		"MUSTER_MACHINE_UID=muid_"+hex.EncodeToString(uid[:]),
		"MUSTER_STATE_DIR="+filepath.Join(b.dir, fmt.Sprint("state-", b.states)),
	)
}

// cost is what a process took from its start to its end.
type cost struct {
	wall, cpu time.Duration
	peak      float64 // MiB resident
}

// measure runs a program to its end and gives what it printed.
func (b *bench) measure(path string, args, environ []string) (cost, string, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return cost{}, "", fmt.Errorf("make a pipe: %w", err)
	}
	defer read.Close() // nothing can be lost
	cmd := exec.CommandContext(b.ctx, b.spawn, append([]string{path}, args...)...)
	cmd.Env = environ
	cmd.ExtraFiles = []*os.File{write}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	write.Close() // the program has its own
	if err != nil {
		return cost{}, "", fmt.Errorf("%s %s: %w; it said:\n%s%s", path, strings.Join(args, " "), err, &stdout, &stderr)
	}
	var wall, cpu, peak int64
	if _, err := fmt.Fscan(read, &wall, &cpu, &peak); err != nil {
		return cost{}, "", fmt.Errorf("read what %s cost: %w", path, err)
	}
	return cost{time.Duration(wall), time.Duration(cpu), float64(peak) / 1024}, stdout.String() + stderr.String(), nil
}

// service is a program that runs and is connected to the relay.
type service struct {
	cmd  *exec.Cmd
	took time.Duration // from its start to connected
	read chan struct{} // closed when its standard error is read to the end
}

// connectWithin is how long a start may take; it takes some 10 ms.
const connectWithin = time.Minute

// start runs a program as a service and waits until it says that it is
// connected.
func (b *bench) start(p program, environ []string) (*service, error) {
	cmd := exec.CommandContext(b.ctx, p.path, p.run...)
	cmd.Env = environ
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	s := &service{cmd: cmd, read: make(chan struct{})}
	connected := make(chan time.Time, 1)
	var said strings.Builder // read once s.read is closed
	go func() {
		defer close(s.read)
		lines := bufio.NewReader(stderr)
		for {
			line, err := lines.ReadString('\n')
			now := time.Now()
			said.WriteString(line)
			if strings.Contains(line, `"event":"relay.connected"`) {
				connected <- now
				break
			}
			if err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, lines) // until it ends
	}()
	select {
	case at := <-connected:
		s.took = at.Sub(begin)
		return s, nil
	case <-s.read:
	case <-time.After(connectWithin):
		_ = cmd.Process.Kill() // it may have ended by itself
		<-s.read
	}
	err = cmd.Wait()
	return nil, fmt.Errorf("%s was not connected within %v (%v); it said:\n%s", p.name, connectWithin, err, &said)
}

// stop ends a service as a supervisor would.
func (s *service) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", s.cmd.Path, err)
	}
	timer := time.AfterFunc(time.Minute, func() {
		_ = s.cmd.Process.Kill() // then Wait says so
	})
	defer timer.Stop()
	<-s.read
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("%s did not end well on SIGTERM: %w", s.cmd.Path, err)
	}
	return nil
}
