package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
			config, err := p.configure("")
			if err != nil {
				return err
			}
			err = p.identify(cmd.Context(), config, save, asJSON)
			if err != nil && save && p.partOfUnit() && !errors.Is(err, app.ErrSignalDenied) {
				_, _ = fmt.Fprintf(p.stderr, "muster: %v\nmuster: the service starts all the same and goes on by itself\n", err)
				return nil
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&save, "save", false, "write it to the state directory (needs the rights to read the signals)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// partOfUnit reports whether this command is a step of a systemd unit, which
// must not keep the service from starting for what 'muster run' waits out.
func (p *program) partOfUnit() bool {
	return p.environment("INVOCATION_ID") != "" && p.environment("STATE_DIRECTORY") != ""
}

func (p *program) identify(ctx context.Context, config *configuration, save, asJSON bool) error {
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
		deps, err := p.deps(config, p.logger(config.settings), false)
		if err != nil {
			return ports.Identity{}, err
		}
		unlock, err := deps.Lock.TryLock(ctx, "identify")
		switch {
		case err == nil:
			defer p.release(unlock)
		case errors.Is(err, ports.ErrLocked):
			id, stored, lookErr := p.lookUp(ctx, config, true)
			if lookErr == nil && stored {
				return id, nil
			}
			return id, stopFirst(errors.Join(err, lookErr))
		default:
			return ports.Identity{}, err
		}
		return app.Identify(ctx, deps)
	}
	id, _, err := p.lookUp(ctx, config, false)
	return id, err
}

// lookUp finds out the identity and changes nothing in the state directory.
func (p *program) lookUp(ctx context.Context, config *configuration, handOver bool) (id ports.Identity, stored bool, err error) {
	deps, err := p.deps(config, slog.New(slog.DiscardHandler), true)
	if err != nil {
		return ports.Identity{}, false, err
	}
	return app.Look(ctx, deps, handOver)
}
