package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

// defaultEnrollWait is how long enroll waits for an operator (docs/SPEC.md,
// "Commands").
const defaultEnrollWait = 24 * time.Hour

type enrollFlags struct {
	force bool
	wait  time.Duration
}

// addTo gives a command these flags.
func (f *enrollFlags) addTo(cmd *cobra.Command, when string) {
	cmd.Flags().BoolVar(&f.force, "force", false, when+"enroll again although this machine is enrolled")
	cmd.Flags().DurationVar(&f.wait, "wait", defaultEnrollWait, when+"how long to wait for an operator, and for what time heals; 0 to ask once")
}

// given reports whether cmd was called with any of these flags.
func (f *enrollFlags) given(cmd *cobra.Command) bool {
	return cmd.Flags().Changed("force") || cmd.Flags().Changed("wait")
}

func (p *program) enrollCommand() *cobra.Command {
	var flags enrollFlags
	cmd := &cobra.Command{
		Use:   "enroll [MANAGER_URL]",
		Short: "Enroll, then exit",
		Long: "Enroll gets this machine what is configured: an API key from its site's server, a\n" +
			"certificate from its manager, or both. A manager's URL that is given is kept for\n" +
			"'muster run'. It exits with 0 when this machine is enrolled, 1 when that was\n" +
			"refused or failed, and 2 when an operator has not decided yet.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.enroll(cmd, args, flags) },
	}
	flags.addTo(cmd, "")
	return cmd
}

func (p *program) enroll(cmd *cobra.Command, args []string, flags enrollFlags) error {
	ctx := cmd.Context()
	p.begin()
	if flags.wait < 0 {
		return fmt.Errorf("--wait %v: a time to wait cannot be negative; give 0 to ask once", flags.wait)
	}
	managerURL := ""
	if len(args) > 0 {
		managerURL = args[0]
	}
	config, err := p.configure(managerURL)
	if err != nil {
		return err
	}
	deps, err := p.deps(config, p.personLogger(config), false)
	if err != nil {
		return err
	}
	unlock, err := deps.Lock.TryLock(ctx, "enroll")
	if err != nil {
		return stopFirst(err)
	}
	defer p.release(unlock)
	p.code = app.Enroll(ctx, deps, app.EnrollOptions{
		Force: flags.force, Wait: flags.wait, Patient: cmd.Flags().Changed("wait"), Say: p.say,
	})
	return nil
}

// stopFirst adds what to do to an error of the lock.
func stopFirst(err error) error {
	if errors.Is(err, ports.ErrLocked) {
		return fmt.Errorf("%w: stop the service first", err)
	}
	return err
}

// release gives the lock back; it goes with the process anyhow.
func (p *program) release(unlock func() error) {
	if err := unlock(); err != nil {
		_, _ = fmt.Fprintf(p.stderr, "muster: giving back the lock: %v\n", err)
	}
}
