package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/adapters/machine"
	"github.com/muster-agent/muster/adapters/processlock"
	"github.com/muster-agent/muster/adapters/siteapi"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/adapters/statussocket"
	"github.com/muster-agent/muster/adapters/transport"
	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/adapters/wsrelay"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

// configure reads the configuration in force.
func (p *program) configure() (*envconfig.Config, error) {
	flags := map[string]string{}
	for name, value := range map[string]string{
		"MUSTER_STATE_DIR": p.stateDir, "MUSTER_LOG_LEVEL": p.logLevel, "MUSTER_LOG_FORMAT": p.logFormat,
	} {
		if value != "" {
			flags[name] = value
		}
	}
	return envconfig.Load(envconfig.Source{
		Environ: p.environ, File: p.configFile, Flags: flags, CredentialStored: credentialStored,
	})
}

// credentialStored reports whether a state directory holds a credential, sound
// or not. It changes nothing.
func credentialStored(dir string) bool {
	store, err := statedir.Open(dir, statedir.Options{ReadOnly: true, Version: version})
	if err != nil {
		return false
	}
	_, err = store.Load(context.Background())
	return !errors.Is(err, ports.ErrNotStored)
}

// world is everything that an agent with this configuration reaches. With
// readOnly nothing on disk is changed.
func (p *program) world(config *envconfig.Config, log *slog.Logger, readOnly bool) (app.World, error) {
	settings := config.Settings()
	for _, warning := range config.Warnings {
		log.Warn(warning, event("configuration"))
	}
	store, err := p.open(settings, log, readOnly)
	if err != nil {
		return app.World{}, err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return app.World{}, fmt.Errorf("finding this machine's hostname: %w", err)
	}
	w := app.World{
		Settings: settings, Version: version, Hostname: hostname,
		Signals: machine.New("/"), Identities: store, Credentials: store, Retries: store, State: store,
		Lock:       processlock.New(settings.StateDir),
		Supervisor: unsupervised.Supervisor{}, StatusServer: statussocket.NewServer(settings.StateDir),
		Log: log, Wall: time.Now, Chance: mathrand.Float64,
		Random: func(b []byte) { _, _ = rand.Read(b) }, // never fails: crypto/rand crashes instead
	}
	return w, p.connect(&w)
}

// open opens the state directory. With readOnly nothing on disk is changed.
func (p *program) open(settings ports.Settings, log *slog.Logger, readOnly bool) (*statedir.Dir, error) {
	return statedir.Open(settings.StateDir, statedir.Options{
		ReadOnly: readOnly, Version: version, Now: time.Now,
		Recovered: func(r ports.Recovery) {
			attrs := []slog.Attr{event("store.recovered"), slog.String("file", r.File), slog.String("action", r.Action), slog.String("reason", r.Reason)}
			if r.SetAside != "" {
				attrs = append(attrs, slog.String("set_aside", r.SetAside))
			}
			log.LogAttrs(context.Background(), slog.LevelWarn, "a file of the state directory was not as it was written: "+r.Action, attrs...)
		},
	})
}

// connect gives the agent its ways to the servers.
func (p *program) connect(w *app.World) error {
	s := &w.Settings
	to, err := transport.New(transport.Options{
		TrustCAFile: s.TrustCAFile, TrustSPKISHA256: s.TrustSPKISHA256, Proxy: s.Proxy, DevInsecureTLS: s.DevInsecureTLS,
	})
	if err != nil {
		return err
	}
	userAgent := fmt.Sprintf("muster/%s (%s; %s)", version, runtime.GOOS, runtime.GOARCH)
	if s.SiteConfigured() {
		w.Site = siteapi.New(s.ServerURL, to, userAgent, transport.Describe)
	}
	if s.ServerURL == nil {
		s.ServerURL = p.issuer(*s)
	}
	if s.ServerURL != nil || s.RelayURL != nil {
		w.Relay = wsrelay.New(wsrelay.Endpoint(s.ServerURL, s.RelayURL), s.RelayAuthHeader, to, userAgent, transport.Describe)
	}
	return nil
}

// issuer is the server that the stored key names; nil if there is none. It
// only looks: the state directory may be another process's.
func (p *program) issuer(settings ports.Settings) *url.URL {
	store, err := p.open(settings, slog.New(slog.DiscardHandler), true)
	if err != nil {
		return nil
	}
	cred, err := store.Load(context.Background())
	if err != nil || cred.ServerURL == "" {
		return nil
	}
	issuer, err := url.Parse(cred.ServerURL)
	if err != nil {
		return nil
	}
	return issuer
}
