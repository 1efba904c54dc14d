package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

func (p *program) identifyCommand() *cobra.Command {
	var save, asJSON bool
	cmd := &cobra.Command{
		Use:   "identify",
		Short: "Which machine this is, by which signal",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.identify(cmd.Context(), save, asJSON)
		},
	}
	cmd.Flags().BoolVar(&save, "save", false, "write it to the state directory (needs the rights to read the signals)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func (p *program) identify(ctx context.Context, save, asJSON bool) error {
	config, err := p.configure("")
	if err != nil {
		return err
	}
	id, err := p.whoIsThis(ctx, config, save)
	if err != nil {
		return err
	}
	if !asJSON {
		p.say(id.MachineUID + " (" + string(id.Source) + ")")
		return nil
	}
	line, err := json.Marshal(map[string]string{"machine_uid": id.MachineUID, "machine_uid_source": string(id.Source), "agent_id": id.AgentID})
	if err == nil {
		p.say(string(line))
	}
	return err
}

// whoIsThis finds out the identity. Another muster process that holds the
// state directory has saved it already, so that there is nothing to save then
// as long as it is still the same.
func (p *program) whoIsThis(ctx context.Context, config *configuration, save bool) (ports.Identity, error) {
	if save {
		world, err := p.world(config, p.logger(config.settings), false)
		if err != nil {
			return ports.Identity{}, err
		}
		unlock, err := world.Lock.TryLock(ctx, "identify")
		switch {
		case err == nil:
			defer p.release(unlock)
		case errors.Is(err, ports.ErrLocked):
			id, stored, lookErr := p.look(ctx, config)
			if lookErr == nil && stored {
				return id, nil
			}
			return id, stopFirst(errors.Join(err, lookErr))
		default:
			return ports.Identity{}, err
		}
		return app.New(world).Identify(ctx)
	}
	id, _, err := p.look(ctx, config)
	return id, err
}

// look finds out the identity and changes nothing; stored says that the state
// directory has it just so.
func (p *program) look(ctx context.Context, config *configuration) (id ports.Identity, stored bool, err error) {
	world, err := p.world(config, slog.New(slog.DiscardHandler), true)
	if err != nil {
		return ports.Identity{}, false, err
	}
	return app.New(world).Look(ctx)
}
