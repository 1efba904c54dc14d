package main

import (
	"fmt"
	"os"

	"github.com/muster-agent/muster/adapters/systemdunit"
	unit "github.com/muster-agent/muster/packaging/systemd"
	"github.com/muster-agent/muster/ports"
)

// installed is what a person is told who has installed the service.
const installed = "The service is installed and starts with the machine; 'muster service start' starts it now.\n" +
	"It runs as the user muster, who has to be able to read /etc/muster/agent.env (owner root, group muster, mode 0640)."

// serviceManager is the service manager of this machine.
func serviceManager() (ports.ServiceManager, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the path of this program: %w", err)
	}
	return systemdunit.New(systemdunit.Options{Root: "/", Program: program, Unit: unit.Unit, Run: systemdunit.Command}), nil
}
