package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/adapters/winservice"
	"github.com/muster-agent/muster/ports"
)

const (
	serviceName = "muster"
	// upgradeCode is of packaging/windows/muster.wxs.
	upgradeCode = "{B7C03C5F-6F0E-4F0B-9B39-5B1F7C0B6A51}"
)

// installedHow is what else a person is told who has installed the service.
const installedHow = "\n" + `It runs as SYSTEM, is configured by %ProgramData%\Muster\agent.env, and its log is %ProgramData%\Muster\logs\muster.log.`

func serviceManager(program string) (ports.ServiceManager, error) {
	_, guard := protection()
	return closedService{winservice.New(winservice.Options{
		Name: serviceName, DisplayName: "Muster", Description: "Gets this machine an identity and keeps it.",
		Program: program, Arguments: []string{"run", "--service"}, UpgradeCode: upgradeCode,
	}), program, filepath.Dir(envconfig.DefaultFile(os.Environ())), guard}, nil
}

// closedService is a service that ordinary users do not get at.
type closedService struct {
	ports.ServiceManager
	program, configuration string
	guard                  ports.Guard
}

// Install implements ports.ServiceManager. Whoever may replace the program, or
// put a library beside it, would be SYSTEM: it is then an error. The directory of
// the configuration is made, so that what is written there next is closed to
// others from the start; one that somebody else made is put aside.
func (s closedService) Install(ctx context.Context) error {
	for _, path := range []string{s.program, filepath.Dir(s.program)} {
		if err := s.sealed(path); err != nil {
			return fmt.Errorf(`%s is what would run as SYSTEM: %w; or put the program below C:\Program Files and install from there`, path, err)
		}
	}
	if err := s.ServiceManager.Install(ctx); err != nil {
		return err
	}
	return claimOrMake(s.guard, s.configuration, func(r ports.Recovery) {
		_, _ = fmt.Fprintf(os.Stderr, "muster: warning: %s was %s: %s\n", r.File, r.Action, r.Reason)
	})
}

func (s closedService) sealed(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only: nothing is lost
	return s.guard.Sealed(file)
}
