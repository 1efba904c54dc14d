package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func (p *program) serviceCommand() *cobra.Command {
	service := &cobra.Command{
		Use:   "service",
		Short: "Install, uninstall, start or stop the service, or ask how it stands",
		Long: "Service makes this program, where it lies, the service that the machine starts.\n" +
			"A service that a package has installed is left to the package.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("name what to do: install, uninstall, start, stop or status")
		},
	}
	add := func(name, short string, do func(context.Context, ports.ServiceManager) error) {
		service.AddCommand(&cobra.Command{
			Use: name, Short: short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				program, err := os.Executable()
				if err != nil {
					return fmt.Errorf("finding the path of this program: %w", err)
				}
				manager, err := serviceManager(program) // of this machine
				if err != nil {
					return err
				}
				return do(cmd.Context(), manager)
			},
		})
	}
	then := func(change func(ports.ServiceManager, context.Context) error, said string) func(context.Context, ports.ServiceManager) error {
		return func(ctx context.Context, manager ports.ServiceManager) error {
			if err := change(manager, ctx); err != nil {
				return err
			}
			p.say(said)
			return nil
		}
	}
	add("install", "Have the machine start this program; it is not started now", then(ports.ServiceManager.Install,
		"The service is installed and starts with the machine; 'muster service start' starts it now."+installedHow))
	add("uninstall", "Stop the service and take it away; state and configuration stay", then(ports.ServiceManager.Uninstall,
		"The service is not installed any more. Its state and its configuration stay."))
	add("start", "Start the service", then(ports.ServiceManager.Start, "The service runs: 'muster status' says how it stands."))
	add("stop", "Stop the service", then(ports.ServiceManager.Stop, "The service is stopped."))
	add("status", "How the service stands; exits with 0 if it runs, else 1", p.serviceStatus)
	return service
}

func (p *program) serviceStatus(ctx context.Context, manager ports.ServiceManager) error {
	st, err := manager.Status(ctx)
	if err != nil {
		return err
	}
	p.code = exitcode.OfService(st.State)
	line := string(st.State)
	if st.PID != 0 {
		line += fmt.Sprintf(", process %d", st.PID)
	}
	if st.State != ports.ServiceNotInstalled {
		if st.AtBoot {
			line += ", starts with the machine"
		} else {
			line += ", does not start with the machine"
		}
	}
	if st.Detail != "" {
		line += ": " + st.Detail
	}
	p.say(line)
	return nil
}
