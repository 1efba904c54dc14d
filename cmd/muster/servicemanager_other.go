//go:build !linux && !windows

package main

import "github.com/muster-agent/muster/ports"

// installed is what a person is told who has installed the service.
const installed = "The service is installed and starts with the machine; 'muster service start' starts it now."

// serviceManager is the service manager of this machine: none that is known.
func serviceManager() (ports.ServiceManager, error) { return nil, ports.ErrNoServiceManager }
