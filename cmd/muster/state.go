package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"

	"github.com/muster-agent/muster/adapters/certfiles"
	"github.com/muster-agent/muster/adapters/processlock"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/ports"
)

// storeOptions open a state directory with what this system has to protect it.
func storeOptions(readOnly bool) statedir.Options {
	protector, guard := protection()
	return statedir.Options{ReadOnly: readOnly, Version: version, Protector: protector, Guard: guard}
}

// processLock is the lock of a state directory, which it makes as the store
// would.
func processLock(dir string) *processlock.Lock {
	lock := processlock.New(dir)
	if _, guard := protection(); guard != nil {
		lock.Mkdir = guard.Mkdir
	}
	return lock
}

// look opens a state directory so that nothing on disk is changed, unless it is
// open already.
func (p *program) look(dir string) (*statedir.Dir, error) {
	if p.found != nil && p.found.Path() == dir {
		return p.found, nil
	}
	found, err := statedir.Open(dir, storeOptions(true))
	if err == nil {
		p.found = found
	}
	return found, err
}

// open opens the state directory for a command that changes it.
func (c *configuration) open(log *slog.Logger) (*statedir.Dir, error) {
	options := storeOptions(false)
	options.Recovered = recovered(log)
	if err := claimState(options.Guard, c.settings.StateDir, false, options.Recovered); err != nil {
		return nil, err
	}
	return statedir.Open(c.settings.StateDir, options)
}

// looked is the state directory for a command that only looks. Another process
// may be at work in it.
func (c *configuration) looked() (*statedir.Dir, error) {
	_, guard := protection()
	return c.found, claimState(guard, c.settings.StateDir, true, func(ports.Recovery) {})
}

// state is where an agent with this configuration keeps what lasts. With
// readOnly nothing on disk is changed.
func (p *program) state(config *configuration, log *slog.Logger, readOnly bool) (app.State, error) {
	var store *statedir.Dir
	var err error
	if readOnly {
		store, err = config.looked()
	} else {
		store, err = config.open(log)
	}
	if err != nil {
		return app.State{}, err
	}
	files := certificateFiles(config.settings)
	files.Recovered = recovered(log)
	state := app.State{
		Identities: store, Credentials: store, Retries: store, Directory: store, Lock: processLock(config.settings.StateDir),
		Certificates: files, Journal: store,
	}
	if place := config.EnrollmentKeyPlace(); config.settings.ForgetEnrollmentKey && place != nil && !readOnly {
		state.EnrollmentKey = place
	}
	state.Handover, err = p.handover()
	return state, err
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

func certificateFiles(s ports.Settings) *certfiles.Files {
	files := certfiles.New(certfiles.Paths{CA: s.CACertFile, Server: s.ServerCertFile, Key: s.ServerKeyFile, CRL: s.CRLFile})
	_, files.Guard = protection()
	return files
}

// recovered logs what a store did by itself.
func recovered(log *slog.Logger) func(ports.Recovery) {
	return func(r ports.Recovery) {
		attrs := []slog.Attr{ports.EventStoreRecovered.Attr(), slog.String("file", r.File), slog.String("action", r.Action), slog.String("reason", r.Reason)}
		if r.SetAside != "" {
			attrs = append(attrs, slog.String("set_aside", r.SetAside))
		}
		log.LogAttrs(context.Background(), slog.LevelWarn, "a file was not as it was written: "+r.Action, attrs...)
	}
}

// credentialStored reports whether there is a credential, sound or not.
func credentialStored(found *statedir.Dir) bool {
	_, err := found.Load(context.Background())
	return !errors.Is(err, ports.ErrNotStored)
}

// recordedManager is the manager of the enrollment that is recorded; nil if
// there is none.
func recordedManager(found *statedir.Dir) *url.URL {
	pending, err := found.LoadPending(context.Background())
	if err != nil {
		return nil
	}
	return recordedURL(pending.Issuer)
}

// recordedServer is the server that gave the stored key; nil if there is none.
func recordedServer(found *statedir.Dir) *url.URL {
	cred, err := found.Load(context.Background())
	if err != nil {
		return nil
	}
	return recordedURL(cred.ServerURL)
}

// recordedURL is a URL of a record; nil if it has none.
func recordedURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return nil
	}
	return u
}
