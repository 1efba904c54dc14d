package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Agent is the service: it gets this machine an identity and keeps it.
type Agent struct {
	w       *World
	board   *board
	clock   *clock
	book    *retryBook
	keys    *keyring
	desk    *desk
	who     *identityKeeper
	site    *siteEnrollment
	certs   *certificates
	manager *managerEnrollment // nil where no manager is configured
	carer   *carer
	pulse   *pulse
	started time.Time
	unknown map[string]bool // frame types that were logged as unknown

	stopping sync.Once
}

// New prepares an agent; nothing happens before Run or Enroll.
func New(w World) *Agent {
	a := &Agent{w: &w, keys: newKeyring(), desk: newDesk(), carer: newCarer(), pulse: newPulse(), started: time.Now(), unknown: map[string]bool{}}
	a.board = newBoard(a.w, a.blank(), func(sentence string) { a.told(w.Supervisor.Status(sentence)) })
	a.clock = &clock{wall: w.Wall, board: a.board, log: w.Log}
	a.book = &retryBook{store: w.Retries, policy: w.Settings.Delays, wall: w.Wall, chance: w.Chance}
	a.who = &identityKeeper{w: a.w, board: a.board}
	a.site = &siteEnrollment{w: a.w, who: a.who, book: a.book, board: a.board, clock: a.clock, keys: a.keys}
	a.certs = &certificates{w: a.w, board: a.board, clock: a.clock, served: make(chan struct{})}
	if w.Manager != nil {
		a.manager = &managerEnrollment{w: a.w, who: a.who, book: a.book, board: a.board, clock: a.clock, certs: a.certs}
	}
	return a
}

// ErrReplaced is the cause with which a ctx ends whose agent makes way for
// another one of this process, after a change of the configuration: the
// supervisor is not told that the service stops.
var ErrReplaced = errors.New("another agent takes over with a new configuration")

// Run lives until ctx is done and then returns nil. It returns an error only
// for what keeps it from starting: another service that holds the state
// directory (kind ports.ErrLocked), or a signal of the machine's identity that
// this process may not read (kind ErrNeedsRights). Everything that time or a
// person can heal is shown and tried again.
func (a *Agent) Run(ctx context.Context) error {
	defer a.sayStopping(ctx)
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() { a.feedWatchdog(ctx) })
	starting, started := a.pulse.begin(ctx, "start")
	defer started()

	// Not before it is clear that no other service answers there.
	answer := sync.OnceFunc(func() { parts.Go(func() { a.serveStatus(ctx) }) })
	unlock, err := a.takeTurn(starting, answer)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer a.giveBack(unlock) // once all parts have ended
	defer parts.Wait()
	defer stop()
	answer()
	a.ready()

	if err := a.settleIdentity(starting); err != nil {
		return unlessStopped(ctx, err)
	}
	keep := func(name string, part func(context.Context)) {
		ctx, ended := a.pulse.begin(ctx, name)
		parts.Go(func() { defer ended(); part(ctx) })
	}
	keep("site enrollment", a.keepEnrolled)
	keep("relay connection", a.keepConnected)
	if a.w.Certificates != nil {
		keep("certificate", a.keepCertified)
	}
	if a.w.Listener != nil {
		keep("mTLS listener", a.keepListening)
	}
	if a.manager != nil {
		keep("revocation list", a.keepRevocations)
	}
	started()

	<-ctx.Done()
	a.sayStopping(ctx)
	return nil
}

// sayStopping says, once, that the agent was told to stop, if it was; one that
// is replaced says nothing.
func (a *Agent) sayStopping(ctx context.Context) {
	if ctx.Err() == nil {
		return
	}
	a.stopping.Do(func() {
		a.board.close()
		if errors.Is(context.Cause(ctx), ErrReplaced) {
			return
		}
		a.told(a.w.Supervisor.Stopping())
		a.told(a.w.Supervisor.Status("stopping"))
		a.w.Log.Info("told to stop", event(eventStopping))
	})
}

// unlessStopped is err, or nil if the agent was told to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// blank is the status before anything is known.
func (a *Agent) blank() ports.Status {
	st := notConfigured(a.w.Version, a.w.Hostname)
	if a.w.Site != nil {
		st.Site = ports.SiteStatus{State: ports.SiteStateRetrying, Since: a.w.Wall()}
	}
	if a.w.Relay != nil {
		st.Relay = ports.RelayStatus{State: ports.RelayStateConnecting, Since: a.w.Wall()}
	}
	if a.w.Manager != nil {
		st.Manager = ports.ManagerStatus{State: ports.ManagerStateRetrying, Since: a.w.Wall()}
		st.Certificate.Status = ports.CertMissing
	}
	return st
}

// notConfigured is the status of a machine for which nothing is configured.
func notConfigured(version, hostname string) ports.Status {
	return ports.Status{
		Version: version, Hostname: hostname,
		Site:        ports.SiteStatus{State: ports.SiteStateNotConfigured},
		Manager:     ports.ManagerStatus{State: ports.ManagerStateNotConfigured},
		Certificate: ports.CertificateReport{Status: ports.CertNotConfigured},
		Relay:       ports.RelayStatus{State: ports.RelayStateNotConfigured},
	}
}

// serveStatus answers local callers. An agent whose socket cannot be opened
// (a directory that cannot be written) does its work all the same and tries
// again.
func (a *Agent) serveStatus(ctx context.Context) {
	if a.w.StatusServer == nil {
		return
	}
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := a.w.StatusServer.Serve(ctx, ports.LocalCalls{Status: a.board.snapshot, RenewCertificates: a.renewNow})
		if err == nil {
			return
		}
		delay := a.transientWait(attempt)
		a.w.Log.Warn("local status is not available: "+err.Error(), event(eventStatusServer), slog.Duration("wait", delay),
			slog.String("class", string(ports.Transient)), slog.Int("attempt", attempt))
		if wait(ctx, a.w.Wall, delay, nil) != nil {
			return
		}
	}
}

// told logs a notification that did not arrive; nobody waits for one.
func (a *Agent) told(err error) {
	if err != nil {
		a.w.Log.Debug("telling the supervisor: "+err.Error(), event(eventSupervisor))
	}
}
