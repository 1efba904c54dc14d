package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// configuration is what is in force: what envconfig read, and the manager that
// an enroll command was given, where none is configured.
type configuration struct {
	*envconfig.Config
	settings ports.Settings
	// found is the state directory, opened for looking.
	found *statedir.Dir
	// fromEnrollment: the manager comes from an enrollment, not from envconfig.
	fromEnrollment bool
	// roots are the contents of the files of trusted CAs, each as a digest.
	roots [2][sha256.Size]byte
}

// configure reads the configuration in force. managerURL is the argument of
// enroll; empty elsewhere.
func (p *program) configure(managerURL string) (*configuration, error) {
	return p.configureAt(p.stateDir, managerURL)
}

// configureAt is configure for a state directory, whatever is configured; empty
// for the configured one.
func (p *program) configureAt(stateDir, managerURL string) (*configuration, error) {
	flags := map[string]string{}
	for name, value := range map[string]string{
		"MUSTER_STATE_DIR": stateDir, "MUSTER_LOG_LEVEL": p.logLevel, "MUSTER_LOG_FORMAT": p.logFormat,
		"MUSTER_MANAGER_URL": managerURL,
	} {
		if value != "" {
			flags[name] = value
		}
	}
	source := p.source(p.configFile)
	source.Flags = flags
	_, guard := protection()
	read, err := p.read(source, guard)
	if err != nil {
		return nil, err
	}
	config := &configuration{Config: read, settings: read.Settings()}
	if config.found, err = p.look(config.settings.StateDir); err != nil {
		return nil, err
	}
	for i, file := range []string{config.settings.TrustCAFile, config.settings.ManagerTrustCAFile} {
		content, err := os.ReadFile(file)
		if err == nil { // else connecting says why it cannot be used
			config.roots[i] = sha256.Sum256(content)
		}
	}
	if config.settings.IssuerURL() == nil {
		config.settings.ManagerURL = recordedManager(config.found)
		config.fromEnrollment = config.settings.ManagerURL != nil
	}
	return config, nil
}

// source is a configuration file beside this call's environment.
func (p *program) source(file string) envconfig.Source {
	return envconfig.Source{
		Environ: p.environ, File: file, Delays: retry.Shipped(),
		CredentialStored: func(stateDir string) bool {
			found, err := p.look(stateDir)
			return err == nil && credentialStored(found)
		},
	}
}

// read reads the configuration. A default file is read only from a directory
// that is ours.
func (p *program) read(source envconfig.Source, guard ports.Guard) (*envconfig.Config, error) {
	if guard != nil {
		source.Unaltered = guard.Unaltered
	}
	if source.File == "" {
		if err := claim(guard, filepath.Dir(envconfig.DefaultFile(source.Environ)), false, p.warnOf); err != nil {
			return nil, err
		}
	}
	return envconfig.Load(source)
}

// logWarnings logs what is odd about the configuration, and no error.
func (c *configuration) logWarnings(log *slog.Logger) {
	for _, warning := range c.Warnings {
		log.Warn(warning, ports.EventConfiguration.Attr())
	}
}

// printWarnings is logWarnings for a command whose result is what a person
// reads.
func (p *program) printWarnings(c *configuration) {
	for _, warning := range c.Warnings {
		_, _ = fmt.Fprintf(p.stderr, "muster: warning: %s\n", warning)
	}
}

// nothingToDo reports that nothing is configured and nothing is there to
// serve.
func (c *configuration) nothingToDo(ctx context.Context) bool {
	if !c.NothingConfigured() || c.settings.IssuerURL() != nil || credentialStored(c.found) {
		return false
	}
	return !app.CertificatePlaced(ctx, certificateFiles(c.settings))
}

// same reports whether what is configured is the same. An enrollment key that
// is gone because it was to be forgotten is no change.
func (c *configuration) same(old *configuration) bool {
	settings := c.settings
	if settings.ForgetEnrollmentKey && settings.EnrollmentKey.Empty() {
		settings.EnrollmentKey, settings.EnrollmentKeyFile = old.settings.EnrollmentKey, old.settings.EnrollmentKeyFile
	}
	return c.roots == old.roots && reflect.DeepEqual(settings, old.settings)
}

// environment is the value of a variable; empty if it is not set.
func (p *program) environment(name string) string {
	for _, entry := range p.environ {
		if n, value, _ := strings.Cut(entry, "="); n == name {
			return value
		}
	}
	return ""
}
