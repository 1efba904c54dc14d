//go:build !linux && !windows

package main

import "github.com/muster-agent/muster/ports"

const installedHow = ""

func serviceManager(string) (ports.ServiceManager, error) { return nil, ports.ErrNoServiceManager }
