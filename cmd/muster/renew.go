package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/adapters/statussocket"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func (p *program) renewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "renew-certs",
		Short: "Check the certificates, renew them if needed, exit",
		Long: "Renew-certs exits with 0 when the certificate is valid and not due or was renewed,\n" +
			"1 when that was refused or failed, and 2 when an operator must approve. Beside a\n" +
			"running service it has the service do it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.renew(cmd.Context()) },
	}
}

func (p *program) renew(ctx context.Context) error {
	p.begin()
	config, err := p.configure("")
	if err != nil {
		return err
	}
	deps, err := p.deps(config, p.personLogger(config), false)
	if err != nil {
		return err
	}
	unlock, err := deps.Lock.TryLock(ctx, "renew-certs")
	var held *ports.LockedError
	switch {
	case err == nil:
		defer p.release(unlock)
		p.code = exitcode.OfRenew(app.RenewCertificates(ctx, deps, p.say))
		return nil
	case errors.As(err, &held) && (held.Command == "run" || held.Command == ""):
		result, err := statussocket.NewClient(config.settings.StateDir).RenewCertificates(ctx)
		if err != nil {
			return err
		}
		p.say(result.Line)
		p.code = exitcode.OfRenew(result.End)
		return nil
	default:
		return err
	}
}
