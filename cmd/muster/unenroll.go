package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/app"
)

func (p *program) unenrollCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "unenroll",
		Short: "Removes credential, certificates and pending enrollment from this machine",
		Long: "Unenroll removes this machine's credential, certificates and pending enrollment,\n" +
			"copies that were set aside included. It keeps which machine this is. The server\n" +
			"is not told: revoke the machine there.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.unenroll(cmd.Context(), yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (p *program) unenroll(ctx context.Context, yes bool) error {
	p.begin()
	config, err := p.configure("")
	if err != nil {
		return err
	}
	settings := config.settings
	store, err := config.open(p.logger(settings))
	if err != nil {
		return err
	}
	unlock, err := processLock(settings.StateDir).TryLock(ctx, "unenroll")
	if err != nil {
		return stopFirst(err)
	}
	defer p.release(unlock)
	removed, err := app.Unenroll(ctx, store, certificateFiles(settings), func() error {
		if !yes && !p.confirmed("Remove this machine's credential and certificates from "+settings.StateDir+"? Type yes: ") {
			return errors.New("nothing was removed: confirm with 'yes' or --yes")
		}
		return nil
	})
	for _, path := range removed {
		p.say("removed " + path)
	}
	if err == nil && len(removed) == 0 {
		p.say("There was nothing to remove.")
	}
	return err
}

// confirmed asks on standard input.
func (p *program) confirmed(question string) bool {
	_, _ = fmt.Fprint(p.stdout, question)
	answer, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && answer == "" {
		p.say("")
	}
	return strings.TrimSpace(answer) == "yes"
}
