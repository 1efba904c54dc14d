package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

// program is one call of muster: what it was given and how it ends.
type program struct {
	environ []string
	stdin   io.Reader
	stdout  *output
	stderr  io.Writer
	changes bool // the result is what was done, not what is printed

	// The flags for all commands.
	configFile, stateDir, logLevel, logFormat string

	code  exitcode.Code
	found *statedir.Dir // the state directory that was looked into last; nil before

	// Of a process that a service manager without systemd's protocol started:
	// its supervisor, and where it sees events. Else nil.
	host   ports.Supervisor
	events slog.Handler
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) exitcode.Code {
	p := &program{environ: environ, stdin: stdin, stdout: &output{to: stdout}, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "muster: %s\n", envconfig.WithoutKeys(err.Error()))
		return exitcode.Error
	}
	if err := p.stdout.failed(); err != nil {
		fmt.Fprintf(stderr, "muster: the result could not be written to standard output: %v\n", err)
		if p.code == exitcode.Clean && !p.changes {
			return exitcode.Error
		}
	}
	return p.code
}

func (p *program) root() *cobra.Command {
	var enroll, renew, printVersion bool
	var flags enrollFlags
	file := envconfig.DefaultFile(p.environ)
	root := &cobra.Command{
		Use:   "muster",
		Short: "Gets this machine an identity and keeps it",
		Long: "Muster enrolls this machine, keeps its API key and certificates valid, and holds\n" +
			"its connection to the relay. It is configured by environment variables or by\n" +
			file + "; see the README.",
		Args:          cobra.MaximumNArgs(1),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case printVersion:
				p.say(versionLine())
				return nil
			case enroll && renew:
				return errors.New("--enroll and --renew-certs do not go together: give one of them")
			case enroll:
				return p.enroll(cmd, args, flags)
			case flags.given(cmd):
				return errors.New("--force and --wait are flags of enroll: see 'muster enroll --help'")
			case renew && len(args) == 0:
				return p.renew(cmd.Context())
			case len(args) > 0:
				return fmt.Errorf("there is no command %q: see 'muster --help'", args[0])
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&enroll, "enroll", false, "the same as the command enroll")
	flags.addTo(root, "with --enroll: ")
	root.Flags().BoolVar(&renew, "renew-certs", false, "the same as the command renew-certs")
	// The library's own is made with templates, for which the linker must keep
	// every exported method: 1.8 MB.
	root.Flags().BoolVar(&printVersion, "version", false, "the same as the command version")
	all := root.PersistentFlags()
	all.StringVar(&p.configFile, "config", "", "configuration `FILE` (default "+file+")")
	all.StringVar(&p.stateDir, "state-dir", "", "keep the state in `DIR`")
	all.StringVar(&p.logLevel, "log-level", "", "debug, info, warn or error")
	all.StringVar(&p.logFormat, "log-format", "", "text or json")
	root.AddCommand(p.runCommand(), p.enrollCommand(), p.renewCommand(), p.statusCommand(), p.identifyCommand(),
		p.serviceCommand(), p.configCommand(), p.unenrollCommand(), p.versionCommand())
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.InitDefaultCompletionCmd() // which takes the output as it is now
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.RunE = func(*cobra.Command, []string) error { return errors.New("name a shell: bash, zsh, fish or powershell") }
		}
	}
	return root
}

// say prints one line of a result.
func (p *program) say(line string) { _, _ = fmt.Fprintln(p.stdout, line) } // run asks output whether that failed

// begin marks a command whose result is a change, not its text: it runs to its
// end although nobody reads, and text that cannot be written is no error.
func (p *program) begin() {
	p.changes = true
	outliveReaders()
}
