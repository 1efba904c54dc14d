package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
)

func (p *program) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "The service: enroll if need be, connect, until told to stop",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.service(cmd.Context()) },
	}
}

func (p *program) service(ctx context.Context) error {
	config, err := p.configure("")
	if err != nil {
		return err
	}
	log := p.logger(config.settings)
	if config.nothingToDo(ctx, time.Now()) {
		log.Info(adviceToConfigure, event("not_configured"))
		return nil
	}
	world, err := p.world(config, log, false)
	if err != nil {
		return err
	}
	log.Info("muster "+version+" starts", event("starting"), slog.String("state_dir", config.settings.StateDir))
	if err := app.New(world).Run(ctx); err != nil {
		log.Error(err.Error(), event("stopping"))
		p.code = exitcode.Error
	}
	return nil
}

// adviceToConfigure is what a person is told when there is nothing to do.
const adviceToConfigure = "nothing is configured, so there is nothing to do: set MUSTER_SERVER_URL, MUSTER_SITE_CODE and MUSTER_ENROLLMENT_KEY" +
	" (or MUSTER_MANAGER_URL) in /etc/muster/agent.env or in the environment, then start again"
