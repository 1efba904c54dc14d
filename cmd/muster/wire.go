package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/muster-agent/muster/adapters/certfiles"
	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/adapters/hostfacts"
	"github.com/muster-agent/muster/adapters/hwid"
	"github.com/muster-agent/muster/adapters/managerapi"
	"github.com/muster-agent/muster/adapters/mtls"
	"github.com/muster-agent/muster/adapters/siteapi"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/adapters/statussocket"
	"github.com/muster-agent/muster/adapters/systemd"
	"github.com/muster-agent/muster/adapters/transport"
	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/adapters/wsrelay"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// configuration is what is in force: what envconfig read, and the manager that
// an enroll command was given, where none is configured.
type configuration struct {
	*envconfig.Config
	settings ports.Settings
	// enrolledAt: the manager comes from an enrollment, not from envconfig.
	enrolledAt bool
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
	for i, file := range []string{config.settings.TrustCAFile, config.settings.ManagerTrustCAFile} {
		content, err := os.ReadFile(file)
		if err == nil { // else connecting says why it cannot be used
			config.roots[i] = sha256.Sum256(content)
		}
	}
	if config.settings.ManagerURL == nil {
		config.settings.ManagerURL = enrolledAt(config.settings.StateDir)
		config.enrolledAt = config.settings.ManagerURL != nil
	}
	return config, nil
}

// source is a configuration file beside this call's environment.
func (p *program) source(file string) envconfig.Source {
	return envconfig.Source{Environ: p.environ, File: file, Delays: retry.Shipped(), CredentialStored: credentialStored}
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

// enrolledAt is the manager of the enrollment that a state directory records;
// nil if there is none. It changes nothing.
func enrolledAt(dir string) *url.URL {
	store, err := statedir.Open(dir, storeOptions(true))
	if err != nil {
		return nil
	}
	pending, err := store.LoadPending(context.Background())
	if err != nil || pending.Issuer == "" {
		return nil
	}
	manager, err := url.Parse(pending.Issuer)
	if err != nil {
		return nil
	}
	return manager
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
	if !c.NothingConfigured() || c.settings.ManagerURL != nil || credentialStored(c.settings.StateDir) {
		return false
	}
	return !app.CertificatePlaced(ctx, certificateFiles(c.settings))
}

func certificateFiles(s ports.Settings) *certfiles.Files {
	files := certfiles.New(certfiles.Paths{CA: s.CACertFile, Server: s.ServerCertFile, Key: s.ServerKeyFile, CRL: s.CRLFile})
	_, files.Guard = protection()
	return files
}

// credentialStored reports whether a state directory holds a credential, sound
// or not. It changes nothing.
func credentialStored(dir string) bool {
	store, err := statedir.Open(dir, storeOptions(true))
	if err != nil {
		return false
	}
	_, err = store.Load(context.Background())
	return !errors.Is(err, ports.ErrNotStored)
}

// world is everything that an agent with this configuration reaches. With
// readOnly nothing on disk is changed.
func (p *program) world(config *configuration, log *slog.Logger, readOnly bool) (app.Deps, error) {
	settings := config.settings
	config.logWarnings(log)
	store, err := p.open(settings, log, readOnly)
	if err != nil {
		return app.Deps{}, err
	}
	files := certificateFiles(settings)
	files.Recovered = p.recovered(log)
	hostname, err := os.Hostname()
	if err != nil {
		return app.Deps{}, fmt.Errorf("finding this machine's hostname: %w", err)
	}
	w := app.Deps{
		Settings: settings, Version: version, Log: log,
		Machine: app.Machine{
			Hostname: hostname, Signals: hwid.New("/"), Wall: time.Now, Chance: mathrand.Float64,
			Random: func(b []byte) { _, _ = rand.Read(b) }, // never fails: crypto/rand crashes instead
		},
		State: app.State{
			Identities: store, Credentials: store, Retries: store, Directory: store, Lock: processLock(settings.StateDir),
			Certificates: files, Journal: store,
		},
		Host: app.Host{Supervisor: p.supervisor(), StatusServer: statussocket.NewServer(settings.StateDir)},
	}
	if place := config.EnrollmentKeyPlace(); settings.ForgetEnrollmentKey && place != nil && !readOnly {
		w.EnrollmentKey = place
	}
	if w.Handover, err = p.handover(); err != nil {
		return app.Deps{}, err
	}
	return w, p.connect(&w)
}

// handover is the runtime directory that systemd gives the service, where it
// does; else nil.
func (p *program) handover() (ports.IdentityStore, error) {
	dir, _, _ := strings.Cut(p.environment("RUNTIME_DIRECTORY"), ":") // a list (systemd.exec(5))
	if dir == "" {
		return nil, nil
	}
	return statedir.Open(dir, statedir.Options{Version: version})
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

// open opens the state directory. With readOnly nothing on disk is changed.
func (p *program) open(settings ports.Settings, log *slog.Logger, readOnly bool) (*statedir.Dir, error) {
	options := storeOptions(readOnly)
	options.Recovered = p.recovered(log)
	if err := claimState(options.Guard, settings.StateDir, readOnly, options.Recovered); err != nil {
		return nil, err
	}
	return statedir.Open(settings.StateDir, options)
}

// recovered logs what a store did by itself.
func (p *program) recovered(log *slog.Logger) func(ports.Recovery) {
	return func(r ports.Recovery) {
		attrs := []slog.Attr{ports.EventStoreRecovered.Attr(), slog.String("file", r.File), slog.String("action", r.Action), slog.String("reason", r.Reason)}
		if r.SetAside != "" {
			attrs = append(attrs, slog.String("set_aside", r.SetAside))
		}
		log.LogAttrs(context.Background(), slog.LevelWarn, "a file was not as it was written: "+r.Action, attrs...)
	}
}

// connect gives the agent its ways to the servers, and its peers theirs to it.
func (p *program) connect(w *app.Deps) error {
	s := &w.Settings
	userAgent := fmt.Sprintf("muster/%s (%s; %s)", version, runtime.GOOS, runtime.GOARCH)
	to, err := transport.New(transport.Options{
		TrustCAFile: s.TrustCAFile, TrustSPKISHA256: s.TrustSPKISHA256, Proxy: s.Proxy, DevInsecureTLS: s.DevInsecureTLS,
	})
	if err != nil {
		return err
	}
	if s.SiteConfigured() {
		w.Site = siteapi.New(s.ServerURL, to, userAgent, transport.Describe)
	}
	if s.ServerURL == nil {
		s.ServerURL = p.issuer(*s)
	}
	if s.ServerURL != nil || s.RelayURL != nil {
		w.Relay = wsrelay.New(wsrelay.Endpoint(s.ServerURL, s.RelayURL), s.RelayAuthHeader, to, userAgent, transport.Describe)
	}

	holder := new(mtls.Holder)
	w.InUse = holder
	if s.ListenAddr != "off" {
		w.Listener = mtls.NewListener(mtls.Options{Holder: holder, Environ: p.environ, Log: w.Log})
	}
	if s.ManagerURL == nil {
		return nil
	}
	options := transport.Options{
		TrustCAFile: s.ManagerTrustCAFile, TrustSPKISHA256: s.ManagerTrustSPKISHA256, Proxy: s.Proxy, DevInsecureTLS: s.DevInsecureTLS,
		Variables: managerVariables(*s),
	}
	plain, err := transport.New(options)
	if err != nil {
		return fmt.Errorf("the trust in the manager: %w", err)
	}
	options.ClientCertificate = holder.ClientCertificate
	proven, err := transport.New(options)
	if err != nil {
		return fmt.Errorf("the trust in the manager: %w", err)
	}
	manager := managerapi.New(s.ManagerURL, plain, proven, userAgent, options.Variables.Describe)
	w.Issuer, w.Revocations = manager, manager
	w.Describer = hostfacts.New(hostfacts.Options{Address: s.ReportIP, Interface: s.ReportInterface})
	return nil
}

// managerVariables are where the trust in the manager comes from: from the
// servers' variables, unless it has its own.
func managerVariables(s ports.Settings) (v transport.Variables) {
	if s.ManagerTrustCAFile != s.TrustCAFile {
		v.CAFile = "MUSTER_MANAGER_TRUST_CA_FILE"
	}
	if !slices.Equal(s.ManagerTrustSPKISHA256, s.TrustSPKISHA256) {
		v.Pins = "MUSTER_MANAGER_TRUST_SPKI_SHA256"
	}
	return v
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
