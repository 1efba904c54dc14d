package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/muster-agent/muster/fakeserver"
)

// stepWithin is how long a step of the demo may take. They take a second or
// two; a machine that compiles something else at the same time is slower.
const stepWithin = time.Minute

// story is what the steps of the demo share.
type story struct {
	out      io.Writer
	dir      string // holds everything on disk, removed at the end
	muster   string // path of the real agent
	server   *fakeserver.Server
	site     fakeserver.SiteKey
	caFile   string
	machines []*machine // in the order of their first start
}

// step is one thing that happens in a machine's life. run makes it happen and
// gives in a sentence what came of it, or an error if it was anything else
// than what title and telling promise.
type step struct {
	title   string
	telling string
	run     func(ctx context.Context, s *story) (result string, err error)
}

// demo runs the real agent against a fake server, tells what happens, and
// checks each step against what the server saw.
func demo(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("fakeserver demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	muster := flags.String("muster", "", "`path` of the agent (default: beside this program, else on the PATH)")
	if err := parse(flags, args); err != nil {
		return err
	}
	// A closed terminal, or a reader of the output that has enough of it, must
	// not end the demo before it has cleaned up. SIGPIPE is caught and not acted
	// upon: asked for, it comes for every connection that broke, too.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	path, err := findMuster(*muster)
	if err != nil {
		return err
	}
	s := &story{out: stdout, muster: path, server: &fakeserver.Server{
		Approval:     fakeserver.Approval{Manual: true},
		CertLifetime: certLifetime,
	}}
	if err := s.setUp(ctx); err != nil {
		return errors.Join(err, s.cleanUp())
	}
	fmt.Fprintf(stdout, "A fake server listens on %s. The machines are real agents,\neach with a state directory of its own below %s.\n", s.server.URL(), s.dir)
	for i, step := range steps {
		if err = s.play(ctx, i+1, step); err != nil {
			if ctx.Err() == nil {
				s.showLogs(stderr)
			}
			break
		}
	}
	if err = errors.Join(err, s.cleanUp()); err == nil {
		fmt.Fprintf(stdout, "\nAll of it was checked against what the server saw. Nothing is left behind.\n")
	}
	return err
}

// settle is how long after an agent that Ctrl-C ended too the same Ctrl-C has
// certainly arrived here.
const settle = 100 * time.Millisecond

func (s *story) play(ctx context.Context, number int, step step) error {
	fmt.Fprintf(s.out, "\n%d. %s\n   %s\n", number, step.title, strings.ReplaceAll(step.telling, "\n", "\n   "))
	within, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	began := time.Now()
	result, err := step.run(within, s)
	if err != nil {
		select {
		case <-ctx.Done():
			return errors.New("stopped before the end")
		case <-time.After(settle):
		}
		s.say("FAILED: %v", err)
		return fmt.Errorf("step %d did not go as told: %w", number, err)
	}
	fmt.Fprintf(s.out, "   -> %s (%.1f s)\n", strings.ReplaceAll(result, "\n", "\n      "), time.Since(began).Seconds())
	return nil
}

// say tells something in the middle of a step.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "   %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n   "))
}

func (s *story) configFile() string { return filepath.Join(s.dir, "agent.env") }

func (s *story) setUp(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "muster-demo-"); err != nil {
		return fmt.Errorf("the demo needs a temporary directory: %w", err)
	}
	if s.site, err = s.server.AddSite(defaultSite, ""); err != nil {
		return err
	}
	s.caFile = filepath.Join(s.dir, "server-ca.pem")
	if err := os.WriteFile(s.caFile, s.server.CACertPEM(), 0o644); err != nil {
		return err
	}
	// So that a configuration that is installed here has no say.
	if err := os.WriteFile(s.configFile(), nil, 0o600); err != nil {
		return err
	}
	return s.server.Start(ctx, "127.0.0.1:0")
}

// cleanUp ends what still runs and removes what was written.
func (s *story) cleanUp() error {
	for _, m := range s.machines {
		m.kill()
	}
	s.server.Close()
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// showLogs prints the end of what each agent logged. Agents log no secrets.
func (s *story) showLogs(w io.Writer) {
	const most = 4 << 10
	for _, m := range s.machines {
		log, err := os.ReadFile(m.logFile())
		if err != nil {
			fmt.Fprintf(w, "\nThe log of %s cannot be read: %v\n", m.name, err)
			continue
		}
		fmt.Fprintf(w, "\nThe end of the log of %s:\n%s\n", m.name, log[max(0, len(log)-most):])
	}
}

// await waits until the server's state is as condition says. It gives up when
// the step's time is over or a machine's agent ends by itself.
func (s *story) await(ctx context.Context, what string, condition func(fakeserver.State) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, m := range s.machines {
		if p := m.process; p != nil {
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				select {
				case <-p.ended:
					cancel(fmt.Errorf("the agent of %s ended by itself: %w", m.name, p.err()))
				case <-stop:
				}
			}()
		}
	}
	if s.server.Await(ctx, func() bool { return condition(s.server.State()) }) != nil {
		return fmt.Errorf("waited in vain until %s: %w", what, context.Cause(ctx))
	}
	return nil
}

// connected says whether the machine is connected and has told its status.
func connected(state fakeserver.State, uid string) bool {
	for _, x := range state.Relay {
		if x.MachineUID == uid && x.Frames > 0 {
			return true
		}
	}
	return false
}

func (s *story) awaitConnected(ctx context.Context, machines ...*machine) error {
	for _, m := range machines {
		err := s.await(ctx, m.name+" is connected", func(state fakeserver.State) bool { return connected(state, m.uid) })
		if err != nil {
			return err
		}
	}
	return nil
}

// known is what the server knows of a machine.
func (s *story) known(m *machine) (fakeserver.Machine, error) {
	for _, known := range s.server.State().Machines {
		if known.MachineUID == m.uid {
			return known, nil
		}
	}
	return fakeserver.Machine{}, fmt.Errorf("the server does not know %s", m.name)
}

// enrollments counts the requests to enroll so far.
func (s *story) enrollments() int { return s.count("/api/enroll") }

func (s *story) count(path string) int {
	n := 0
	for _, r := range s.server.Requests() {
		if r.Path == path {
			n++
		}
	}
	return n
}

// findMuster finds the agent's program.
func findMuster(path string) (string, error) {
	if path != "" {
		return exec.LookPath(path)
	}
	name := "muster"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the agent is not found (%w): build it with \"go build ./cmd/muster\" and name it with --muster", err)
	}
	return found, nil
}
