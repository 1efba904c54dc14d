package main

import (
	"github.com/muster-agent/muster/adapters/systemdunit"
	unit "github.com/muster-agent/muster/packaging/systemd"
	"github.com/muster-agent/muster/ports"
)

// installedHow is what else a person is told who has installed the service.
const installedHow = "\nIt runs as the user muster, who has to be able to read /etc/muster/agent.env (owner root, group muster, mode 0640)."

func serviceManager(program string) (ports.ServiceManager, error) {
	return systemdunit.New(systemdunit.Options{Root: "/", Program: program, Unit: unit.Unit, Run: systemdunit.Command}), nil
}
