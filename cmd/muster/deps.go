package main

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"time"

	"github.com/muster-agent/muster/adapters/hostfacts"
	"github.com/muster-agent/muster/adapters/hwid"
	"github.com/muster-agent/muster/adapters/mtls"
	"github.com/muster-agent/muster/adapters/statussocket"
	"github.com/muster-agent/muster/adapters/systemd"
	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

// deps are everything that an agent with this configuration reaches. With
// readOnly nothing on disk is changed.
func (p *program) deps(config *configuration, log *slog.Logger, readOnly bool) (d app.Deps, err error) {
	config.logWarnings(log)
	d = app.Deps{Settings: config.settings, Version: version, Log: log}
	if d.State, err = p.state(config, log, readOnly); err != nil {
		return app.Deps{}, err
	}
	if d.Machine, err = machine(config.settings); err != nil {
		return app.Deps{}, err
	}
	if d.Settings.ServerURL == nil {
		d.Settings.ServerURL = recordedServer(config.found) // whose relay takes the key
	}
	holder := new(mtls.Holder)
	if d.Servers, err = servers(d.Settings, holder); err != nil {
		return app.Deps{}, err
	}
	d.Host = app.Host{InUse: holder, Supervisor: p.supervisor(), StatusServer: statussocket.NewServer(d.Settings.StateDir)}
	if d.Settings.ListenAddr != "off" {
		d.Listener = mtls.NewListener(mtls.Options{Holder: holder, Environ: p.environ, Log: log})
	}
	return d, nil
}

// machine is what this machine answers an agent.
func machine(s ports.Settings) (m app.Machine, err error) {
	m = app.Machine{
		Signals: hwid.New("/"), Wall: time.Now, Chance: mathrand.Float64,
		Random: func(b []byte) { _, _ = rand.Read(b) }, // never fails: crypto/rand crashes instead
	}
	if s.IssuerURL() != nil {
		m.Describer = hostfacts.New(hostfacts.Options{Address: s.ReportIP, Interface: s.ReportInterface})
	}
	m.Hostname, err = hostname()
	return m, err
}

func hostname() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("finding this machine's hostname: %w", err)
	}
	return name, nil
}

// supervisor is whoever started this process and wants to be told.
func (p *program) supervisor() ports.Supervisor {
	if p.host != nil {
		return p.host
	}
	if n := systemd.New(p.environ); n != nil {
		return n
	}
	return unsupervised.Supervisor{}
}
