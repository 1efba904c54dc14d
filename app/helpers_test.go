package app_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// life is a machine and its servers in memory, in virtual time. Its fields may
// be changed between starts.
type life struct {
	t        *testing.T
	disk     *memory.Disk
	site     *memory.Site
	relay    *memory.Relay
	accept   atomic.Pointer[acceptFunc] // see handshake
	signals  ports.SignalReader
	settings ports.Settings
	offset   atomic.Int64 // see setClock
	chance   func() float64
	random   byte          // makes random bytes other ones
	drawn    atomic.Uint32 // how often random bytes were drawn
	changes  []func(*app.Deps)
	log      memory.Output
}

const uuidOfThisMachine = "4c4c4544-0042-4a10-8054-b7c04f503632"

// newLife is a fresh machine that is configured for a site, with the delays
// that ship.
func newLife(t *testing.T) *life {
	l := &life{
		t: t, disk: &memory.Disk{}, site: &memory.Site{}, relay: &memory.Relay{},
		signals: memory.Signals{SystemUUID: ports.PresentSignal(uuidOfThisMachine), Virtual: true},
		settings: ports.Settings{
			ServerURL: mustParse(t, "https://enroll.example.org"), SiteCode: "ACME-HQ", EnrollmentKey: ports.NewSecret("cek_aaaaaaaaaaaaaaaaaaaaaaaa"),
			ReenrollAfter: 24 * time.Hour, Delays: retry.Shipped(),
		},
		chance: func() float64 { return 0.5 },
	}
	l.relay.Accept = func(ctx context.Context, hello ports.RelayHello) error {
		if accept := l.accept.Load(); accept != nil && *accept != nil {
			return (*accept)(ctx, hello)
		}
		return nil
	}
	return l
}

// live tells the life of a machine that is configured for a site.
func live(t *testing.T, tell func(t *testing.T, is *is.I, l *life)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(t, is.New(t), newLife(t)) })
}

// setClock sets the machine's wall clock ahead of virtual time.
func (l *life) setClock(ahead time.Duration) { l.offset.Store(int64(ahead)) }

// change changes the world before each start that follows.
func (l *life) change(how func(*app.Deps)) { l.changes = append(l.changes, how) }

func (l *life) deps() app.Deps {
	store := memory.OpenStore(l.disk)
	d := app.Deps{
		Settings: l.settings, Version: "1.2.3",
		Log: slog.New(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Machine: app.Machine{
			Hostname: "desk-17", Signals: l.signals,
			Wall:   func() time.Time { return time.Now().Add(time.Duration(l.offset.Load())) },
			Chance: l.chance,
			Random: func(b []byte) {
				for i := range b {
					b[i] = byte(i) ^ l.random ^ byte(l.drawn.Load())
				}
				l.drawn.Add(1)
			},
		},
		State:   app.State{Identities: store, Credentials: store, Retries: store, Directory: store, Lock: memory.OpenLock(l.disk)},
		Servers: app.Servers{Relay: l.relay},
		Host:    app.Host{Supervisor: unsupervised.Supervisor{}},
	}
	if l.settings.SiteConfigured() {
		d.Site = l.site
	}
	for _, change := range l.changes {
		change(&d)
	}
	return d
}

// running is an agent between start and stop.
type running struct {
	l       *life
	status  memory.StatusEndpoint
	cancel  context.CancelFunc
	done    chan error
	stopped bool
}

// start starts an agent and lets it come to rest. It is stopped at the end of
// the test, unless the test stops it.
func (l *life) start() *running {
	ctx, cancel := context.WithCancel(l.t.Context())
	r := &running{l: l, cancel: cancel, done: make(chan error, 1)}
	d := l.deps()
	d.StatusServer = &r.status
	go func() { r.done <- app.New(d).Run(ctx) }()
	l.t.Cleanup(r.stop)
	synctest.Wait()
	return r
}

// Status is how the agent stands.
func (r *running) Status() ports.Status {
	r.l.t.Helper()
	status, err := r.status.Status(r.l.t.Context())
	is.New(r.l.t).NoErr(err)
	return status
}

// stop tells the agent to stop; it must do so in no time.
func (r *running) stop() {
	r.l.t.Helper()
	if r.stopped {
		return
	}
	r.stopped = true
	began := time.Now()
	r.cancel()
	if err := <-r.done; err != nil {
		r.l.t.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took > time.Second {
		r.l.t.Errorf("stopping took %v", took)
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// expect fails the test unless the overall state is as given.
func (r *running) expect(state ports.OverallState) {
	r.l.t.Helper()
	if st := r.Status(); st.State != state {
		r.l.t.Fatalf("the state is %s, not %s: %+v\n%s", st.State, state, st, &r.l.log)
	}
}

// logged counts the lines with an event.
func (l *life) logged(event string) int {
	n := 0
	for line := range strings.Lines(l.log.String()) {
		if strings.Contains(line, "event="+event+" ") || strings.HasSuffix(strings.TrimSpace(line), "event="+event) {
			n++
		}
	}
	return n
}

// gaps are the times between requests to the site's server.
func (l *life) gaps() []time.Duration {
	var gaps []time.Duration
	requests := l.site.Requests()
	for i := 1; i < len(requests); i++ {
		gaps = append(gaps, requests[i].At.Sub(requests[i-1].At))
	}
	return gaps
}

// within fails the test unless least ≤ d ≤ most.
func within(t *testing.T, what string, d, least, most time.Duration) {
	t.Helper()
	if d < least || d > most {
		t.Errorf("%s: %v is not within [%v, %v]", what, d, least, most)
	}
}

// acceptFunc decides a handshake, as memory.Relay has it decided.
type acceptFunc = func(context.Context, ports.RelayHello) error

// refuse refuses everyone with a code.
func refuse(code string) acceptFunc {
	return func(context.Context, ports.RelayHello) error {
		return &ports.RelayRefusedError{Status: 401, Code: code}
	}
}

// refuseKey refuses a key with a code, and accepts every other.
func refuseKey(key ports.Secret, code string) acceptFunc {
	return func(_ context.Context, hello ports.RelayHello) error {
		if !hello.Key.Equal(key) {
			return nil
		}
		return &ports.RelayRefusedError{Status: 401, Code: code}
	}
}

// handshake decides the relay's handshakes from now on; nil accepts everyone.
func (l *life) handshake(accept acceptFunc) {
	l.accept.Store(&accept)
}

// redialTo breaks the connection; the relay decides handshakes so from now on.
func (l *life) redialTo(accept acceptFunc) {
	l.handshake(accept)
	l.relay.Last().Drop()
}

// command begins a person's enroll command, which holds the lock until its end.
func (l *life) command() (end func()) {
	l.t.Helper()
	unlock, err := memory.OpenLock(l.disk).TryLock(l.t.Context(), "enroll")
	is.New(l.t).NoErr(err)
	return func() { is.New(l.t).NoErr(unlock()) }
}

// stored is the API key on disk.
func (l *life) stored() ports.Secret {
	l.t.Helper()
	credential, err := memory.OpenStore(l.disk).Load(l.t.Context())
	is.New(l.t).NoErr(err)
	return credential.Key
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	is.New(t).NoErr(err)
	return u
}

// certLife is a life with a manager and no site.
type certLife struct {
	*life
	manager  *memory.Issuer
	listener memory.Listener
}

func newCertLife(t *testing.T) *certLife {
	l := newLife(t)
	s := &l.settings
	s.ServerURL, s.SiteCode, s.EnrollmentKey = nil, "", ports.Secret{}
	s.ManagerURL = mustParse(t, "https://manager.example.org")
	s.PollingInterval, s.MaxPollAttempts, s.RenewalThreshold = time.Minute, 1440, 7*24*time.Hour
	c := &certLife{life: l, manager: &memory.Issuer{Lifetime: 90 * 24 * time.Hour}}
	l.change(func(w *app.Deps) {
		store := memory.OpenStore(l.disk)
		w.Relay = nil
		client := c.manager.Client(c.present)
		w.Issuer, w.Revocations, w.InUse = client, client, &c.listener
		w.Describer = memory.Host{Hostname: "web-3", FQDN: "web-3.example.org", IPAddress: "10.20.0.7"}
		w.Certificates, w.Journal = memory.OpenCertificates(l.disk), store
	})
	return c
}

// liveAtManager tells the life of one that is configured for a manager.
func liveAtManager(t *testing.T, tell func(t *testing.T, is *is.I, c *certLife)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(t, is.New(t), newCertLife(t)) })
}

// present is how the manager's client presents the certificate in use.
func (c *certLife) present(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if use := c.listener.InUse(); use != nil {
		return &use.Certificate, nil
	}
	return &tls.Certificate{}, nil
}

// serial is that of the certificate in use, empty if there is none.
func (c *certLife) serial() string {
	if use := c.listener.InUse(); use != nil {
		return use.Certificate.Leaf.SerialNumber.String()
	}
	return ""
}

// atSite configures the site too, and its relay.
func (c *certLife) atSite() {
	site := newLife(c.t).settings
	c.settings.ServerURL, c.settings.SiteCode, c.settings.EnrollmentKey = site.ServerURL, site.SiteCode, site.EnrollmentKey
	c.change(func(w *app.Deps) { w.Relay = c.relay })
}

func (c *certLife) expectCertificate(r *running, status ports.CertificateStatus, manager ports.IssuerState) {
	c.t.Helper()
	if st := r.Status(); st.Certificate.Status != status || st.Issuer.State != manager {
		c.t.Fatalf("the certificate is %s and the manager %s, not %s and %s: %+v\n%s", st.Certificate.Status, st.Issuer.State, status, manager, st, &c.log)
	}
}

func denyAll(c *certLife) {
	c.manager.Manual = true
	c.manager.OnPoll = func(_ context.Context, _ ports.IssueRequest, serve func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
		if err := c.manager.Deny(c.machineID()); err != nil {
			c.t.Error(err)
		}
		return serve()
	}
}

// submitFunc answers a registration or a poll, as memory.Issuer has it answered.
type submitFunc = func(context.Context, ports.IssueRequest, func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome]

// answers is a manager that gives the same answer for ever, to registrations or
// to polls.
func answers(outcome ports.SubmitOutcome, retryAfter string) submitFunc {
	return func(context.Context, ports.IssueRequest, func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
		return ports.Answer[ports.SubmitOutcome]{Outcome: outcome, RetryAfter: retryAfter}
	}
}

var (
	exists = answers(ports.IssueKnown{}, "")
	isDown = answers(ports.Unavailable{Reason: "the manager is down"}, "")
)

// spoil damages each file in another way, and returns what they held then, by
// path.
func (c *certLife) spoil() map[string]ports.Secret {
	held := map[string]ports.Secret{}
	c.disk.AlterCertificates(func(f *ports.FoundSet) {
		f.CA.PEM = nil
		f.Server.PEM = f.Server.PEM[:len(f.Server.PEM)*3/4]
		f.Key.PEM = ports.NewSecret("PRECIOUS")
		f.CRL = ports.FoundFile{Path: f.CRL.Path, PEM: []byte("garbage")}
		for _, file := range []ports.FoundFile{f.CA, f.Server, f.CRL} {
			held[file.Path] = ports.NewSecret(string(file.PEM))
		}
		held[f.Key.Path] = f.Key.PEM
	})
	return held
}

// machineID is who registered first at the manager.
func (c *certLife) machineID() string { return c.manager.Requests()[0].Submit.MachineID }

// approve has an operator approve the host.
func (c *certLife) approve() {
	c.t.Helper()
	is.New(c.t).NoErr(c.manager.Approve(c.machineID()))
}

// heals has an operator approve the host again, and expects it to serve.
func (c *certLife) heals(r *running) {
	c.t.Helper()
	c.approve()
	pass(7 * time.Hour)
	r.expect(ports.StateServing)
}

// keeps checks that each of the files was set aside once, as it was.
func (c *certLife) keeps(held map[string]ports.Secret) {
	c.t.Helper()
	found, err := memory.OpenCertificates(c.disk).Read(c.t.Context())
	is.New(c.t).NoErr(err)
	for _, path := range []string{found.CA.Path, found.Server.Path, found.Key.Path, found.CRL.Path} {
		want, damaged := held[path]
		switch copies := c.disk.DamagedCopies(path); {
		case !damaged && len(copies) > 0:
			c.t.Errorf("%s: it was set aside, and was not damaged", path)
		case damaged && (len(copies) != 1 || !copies[0].Equal(want)):
			c.t.Errorf("%s: %d copies of it, or another's", path, len(copies))
		}
	}
}

// provedWrong spoils what is installed, as a failing disk does, for as long as
// broken says so.
type provedWrong struct {
	ports.CertificateFiles
	broken *bool
}

func (p provedWrong) Install(ctx context.Context, set ports.CertificateSet) error {
	if *p.broken {
		set.Server = []byte("not what was to be written")
	}
	return p.CertificateFiles.Install(ctx, set)
}

// once runs a person's enroll command that does not wait.
func (l *life) once() (exitcode.Code, string) {
	return l.enroll(l.t.Context(), app.EnrollOptions{Patient: true})
}

// always is a server that gives the same answer for ever.
func always(outcome ports.SiteOutcome) func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
	return func(context.Context, ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
		return ports.Answer[ports.SiteOutcome]{Outcome: outcome}
	}
}

// enroll runs a person's enroll command and returns what it said.
func (l *life) enroll(ctx context.Context, o app.EnrollOptions) (exitcode.Code, string) {
	var said memory.Output // both enrollments speak
	o.Say = func(line string) {
		if _, err := io.WriteString(&said, line+"\n"); err != nil {
			l.t.Error(err)
		}
	}
	if o.Wait == 0 && !o.Patient {
		o.Wait = 24 * time.Hour
	}
	return app.Enroll(ctx, l.deps(), o), said.String()
}

// forgets has the enrollment key forgotten by the starts that follow.
func (l *life) forgets() *memory.KeyPlace {
	key := new(memory.KeyPlace)
	l.change(func(w *app.Deps) { w.EnrollmentKey = key })
	return key
}

// registrations are the times between those that the manager got.
func (c *certLife) registrations() (gaps []time.Duration) {
	var last time.Time
	for _, r := range c.manager.Requests() {
		if r.Kind != memory.Register {
			continue
		}
		if !last.IsZero() {
			gaps = append(gaps, r.At.Sub(last))
		}
		last = r.At
	}
	return gaps
}

// fromDisk is how the machine stands as the status command says it while no
// agent runs.
func (l *life) fromDisk() ports.Status {
	store := memory.OpenStore(l.disk)
	return app.StatusFromDisk(l.t.Context(), app.Disk{
		Settings: l.settings, Version: "1.2.3", Hostname: "desk-17", Identities: store, Credentials: store, Retries: store,
		Certificates: memory.OpenCertificates(l.disk), Journal: store, Now: time.Now(),
	})
}

// busyOnce is a relay's Accept that puts the first handshake off.
func busyOnce(answer ports.RelayBusyError) acceptFunc {
	var dials atomic.Int32
	return func(context.Context, ports.RelayHello) error {
		if dials.Add(1) == 1 {
			return fmt.Errorf("connecting to the relay: %w", &answer)
		}
		return nil
	}
}

// outcomes are the answers that do not enroll, with the state they show and
// the class of the wait that follows.
var outcomes = []struct {
	name    string
	outcome ports.SiteOutcome
	site    ports.SiteState
	overall ports.OverallState
	class   ports.DelayClass
	event   string
	least   time.Duration // the first wait
	most    time.Duration
}{
	{"collision pending", ports.SiteCollisionPending{}, ports.SiteStatePending, ports.StatePending, ports.Pending, "enroll.pending", 48 * time.Second, 72 * time.Second},
	{"rejected", ports.SiteRejected{Detail: "no"}, ports.SiteStateRejected, ports.StateBlocked, ports.Operator, "enroll.rejected", 12 * time.Minute, 18 * time.Minute},
	{"site conflict", ports.SiteConflict{}, ports.SiteStateConflict, ports.StateBlocked, ports.Operator, "enroll.site_conflict", 12 * time.Minute, 18 * time.Minute},
	{"rate limited", ports.SiteRateLimited{}, ports.SiteStateRetrying, ports.StateEnrolling, ports.Transient, "enroll.retry", time.Second, 5 * time.Second},
	{"transient", ports.SiteTransient{Reason: "status 503"}, ports.SiteStateRetrying, ports.StateEnrolling, ports.Transient, "enroll.retry", time.Second, 5 * time.Second},
	{"unexpected", ports.SiteUnexpected{Status: 404}, ports.SiteStateUnexpected, ports.StateBlocked, ports.Operator, "enroll.rejected", 12 * time.Minute, 18 * time.Minute},
}

// told is a ports.Supervisor that remembers what it was told.
type told struct {
	watchdog time.Duration

	mu    sync.Mutex
	lines []string // "ready", "status …", "stopping"
	fed   []time.Time
}

func (s *told) say(line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	return nil
}

func (s *told) Ready() error             { return s.say("ready") }
func (s *told) Status(text string) error { return s.say("status " + text) }
func (s *told) Reloading() error         { return s.say("reloading") }
func (s *told) Stopping() error          { return s.say("stopping") }

func (s *told) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fed = append(s.fed, time.Now())
	return nil
}

func (s *told) WatchdogInterval() time.Duration { return s.watchdog }

func (s *told) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

func (s *told) has(line string) bool {
	return slices.Contains(s.heard(), line)
}

// fedSince counts the feedings of the last while.
func (s *told) fedSince(while time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, at := range s.fed {
		if time.Since(at) < while {
			n++
		}
	}
	return n
}

// supervise has the life's agents tell s.
func (l *life) supervise(s *told) *told {
	l.change(func(w *app.Deps) { w.Supervisor = s })
	return s
}
