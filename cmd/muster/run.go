package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/ports"
)

func (p *program) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "The service: enroll if need be, connect, until told to stop",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.runAgent(cmd.Context()) },
	}
	p.hostable(cmd)
	return cmd
}

func (p *program) runAgent(ctx context.Context) error {
	reloads, stop := reloads() // first of all: unhandled, the signal ends the process
	defer stop()
	config, err := p.configure("")
	if err != nil {
		return err
	}
	log := p.logger(config.settings)
	if config.nothingToDo(ctx) {
		config.logWarnings(log) // a misspelt name may be why
		log.Info(p.adviceToConfigure(), ports.EventNotConfigured.Attr())
		p.nothingToSupervise(log)
		return nil
	}
	deps, err := p.deps(config, log, false)
	if err != nil {
		return err
	}
	log.Info("muster "+version+" starts", ports.EventStarting.Attr(), slog.String("state_dir", config.settings.StateDir))
	p.keepRunning(ctx, config, deps, reloads)
	return nil
}

// nothingToSupervise tells the supervisor that this is an end and no failed
// start: systemd would try again.
func (p *program) nothingToSupervise(log *slog.Logger) {
	s := p.supervisor()
	if err := errors.Join(s.Ready(), s.Status(p.adviceToConfigure()), s.Stopping()); err != nil {
		log.Debug("telling the supervisor: "+err.Error(), ports.EventSupervisor.Attr())
	}
}

// adviceToConfigure is what a person is told when there is nothing to do.
func (p *program) adviceToConfigure() string {
	return "nothing is configured, so there is nothing to do: set MUSTER_SERVER_URL, MUSTER_SITE_CODE and MUSTER_ENROLLMENT_KEY (or MUSTER_MANAGER_URL) in " +
		envconfig.DefaultFile(p.environ) + " or in the environment, then start again"
}
