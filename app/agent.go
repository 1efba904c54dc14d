package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/certs"
	"github.com/muster-agent/muster/app/internal/identity"
	"github.com/muster-agent/muster/app/internal/issue"
	"github.com/muster-agent/muster/app/internal/latest"
	"github.com/muster-agent/muster/app/internal/relay"
	"github.com/muster-agent/muster/app/internal/site"
	"github.com/muster-agent/muster/app/internal/skew"
	"github.com/muster-agent/muster/app/internal/tracker"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/health"
	"github.com/muster-agent/muster/ports"
)

// Agent is the service: it gets this machine an identity and keeps it.
type Agent struct {
	deps     Deps
	tracker  *tracker.Tracker
	attempts *attempts.Record
	identity *identity.Keeper
	site     *site.Keeper
	certs    *certs.Keeper
	issue    *issue.Keeper
	watchdog wait.Watchdog
	started  time.Time
	stopping sync.Once
}

// New prepares an agent; nothing happens before Run or a command.
func New(d Deps) *Agent {
	a := &Agent{deps: d, started: time.Now()}
	s := d.Settings
	a.tracker = tracker.New(
		health.Starting(d.Version, d.Hostname, d.Site != nil, d.Issuer != nil, d.Relay != nil, d.Wall()),
		s.RenewalThreshold, d.Wall, func(sentence string) { a.notify(d.Supervisor.Status(sentence)) })
	clock := &skew.Clock{Wall: d.Wall, Tracker: a.tracker, Log: d.Log}
	a.attempts = &attempts.Record{Store: d.Retries, Delays: s.Delays, Wall: d.Wall, Chance: d.Chance}
	a.identity = &identity.Keeper{
		Signals: d.Signals, Identities: d.Identities, Handover: d.Handover, Credentials: d.Credentials, Directory: d.Directory,
		MachineUID: s.MachineUID, AgentID: s.AgentID, Random: d.Random, Wall: d.Wall, Tracker: a.tracker, Log: d.Log,
	}
	a.site = &site.Keeper{
		Enroller: d.Site, Credentials: d.Credentials, KeyPlace: d.EnrollmentKey, Settings: s, Hostname: d.Hostname,
		Identity: a.identity, Attempts: a.attempts, Tracker: a.tracker, Skew: clock,
		APIKey: latest.New(ports.Secret{}), Wanted: site.NewWanted(), Wall: d.Wall, Log: d.Log,
	}
	a.certs = &certs.Keeper{
		Files: d.Certificates, Journal: d.Journal, InUse: d.InUse, Issuer: d.Issuer, Threshold: s.RenewalThreshold,
		Servable: latest.New(false), Tracker: a.tracker, Skew: clock, Wall: d.Wall, Log: d.Log,
	}
	a.issue = &issue.Keeper{
		Issuer: d.Issuer, Journal: d.Journal, Host: d.Describer, Signals: d.Signals, Settings: s,
		Identity: a.identity, Certs: a.certs, Attempts: a.attempts, Tracker: a.tracker, Skew: clock,
		Random: d.Random, Wall: d.Wall, Log: d.Log, Wanted: issue.NewRenewWanted(),
	}
	return a
}

// session is the connection to the relay.
func (a *Agent) session() *relay.Session {
	d := a.deps
	s := &relay.Session{
		Dialer: d.Relay, Settings: d.Settings, Version: d.Version, Hostname: d.Hostname, Started: a.started,
		Identity: a.identity, Attempts: a.attempts, Tracker: a.tracker, Skew: a.site.Skew,
		APIKey: a.site.APIKey, Wanted: a.site.Wanted, Wall: d.Wall, Log: d.Log,
	}
	if d.Site == nil {
		s.MissingForSite = enrollment.MissingForSite(d.Settings)
	}
	if d.Issuer != nil {
		s.RenewCertificate = func() { a.issue.Wanted.Ask(true, nil) }
	}
	return s
}

// ErrReplaced is the cause of a ctx's end when its agent makes way for another
// one of this process, after a change of the configuration: the supervisor is
// not told that the service stops.
var ErrReplaced = errors.New("another agent takes over with a new configuration")

// ErrSignalDenied is the kind of error for a signal of the machine's identity
// that this process may not read.
var ErrSignalDenied = identity.ErrSignalDenied

// Run lives until ctx is done and then returns nil. It returns an error only
// for what keeps it from starting: another service that holds the state
// directory (kind ports.ErrLocked), or a signal of the machine's identity that
// this process may not read (kind ErrSignalDenied). Everything that time or a
// person can heal is shown and tried again.
func (a *Agent) Run(ctx context.Context) error {
	defer a.sayStopping(ctx)
	ctx, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() { a.feedWatchdog(ctx) })
	starting, started := a.watchdog.Begin(ctx, "start")
	defer started()

	// The status socket opens only once no other service can hold it.
	answer := sync.OnceFunc(func() { tasks.Go(func() { a.serveStatus(ctx) }) })
	unlock, err := a.acquireLock(starting, answer)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer a.releaseLock(unlock) // once all tasks have ended
	defer tasks.Wait()
	defer stop()
	answer()
	a.ready()

	if err := a.settleIdentity(starting); err != nil {
		return unlessStopped(ctx, err)
	}
	keep := func(name string, task func(context.Context)) {
		ctx, ended := a.watchdog.Begin(ctx, name)
		tasks.Go(func() { defer ended(); task(ctx) })
	}
	d := a.deps
	keep("site enrollment", func(ctx context.Context) { a.site.Run(ctx, d.Relay != nil) })
	keep("relay connection", a.session().Run)
	if d.Certificates != nil {
		keep("certificate", a.issue.Run)
	}
	if d.Listener != nil {
		keep("mTLS listener", a.listen)
	}
	if d.Revocations != nil {
		list := &certs.Revocations{
			Source: d.Revocations, Certs: a.certs, Attempts: a.attempts, Settings: d.Settings,
			Revoked: func() { a.issue.Wanted.Ask(false, nil) },
		}
		keep("revocation list", list.Run)
	}
	started()

	<-ctx.Done()
	a.sayStopping(ctx)
	return nil
}

// unlessStopped is err, or nil if the agent was told to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// settleIdentity finds out which machine this is, waiting for as long as only a
// person can make that possible. Its error ends the agent.
func (a *Agent) settleIdentity(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := a.identity.Settle(ctx)
		if err == nil || errors.Is(err, ErrSignalDenied) || ctx.Err() != nil {
			a.tracker.SetBlocked("identity", "")
			return err
		}
		if a.waitBlocked(ctx, "identity", err, attempt) != nil {
			return ctx.Err()
		}
	}
}

// waitBlocked shows what a person must do about part of the state directory,
// and waits before the agent looks at it again: the look costs nobody anything,
// so the wait is of class transient. It returns ctx's error.
func (a *Agent) waitBlocked(ctx context.Context, part string, err error, attempt int) error {
	pause := a.attempts.Local(attempt)
	a.tracker.SetBlocked(part, err.Error())
	a.deps.Log.Error(err.Error(), attempts.LogAttrs(ports.EventStoreBlocked, pause)...)
	return wait.Sleep(ctx, a.deps.Wall, pause.Wait, nil)
}
