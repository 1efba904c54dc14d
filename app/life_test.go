package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/app"
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
	signals  ports.SignalReader
	settings ports.Settings
	offset   atomic.Int64 // see setClock
	chance   func() float64
	random   byte          // makes random bytes other ones
	drawn    atomic.Uint32 // how often random bytes were drawn
	// change, if set, changes the world before each start.
	change func(*app.Deps)

	log safeBuffer
}

// safeBuffer is a buffer that several goroutines write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const uuidOfThisMachine = "4c4c4544-0042-4a10-8054-b7c04f503632"

// newLife is a fresh machine that is configured for a site, with the delays
// that ship.
func newLife(t *testing.T) *life {
	server, err := url.Parse("https://enroll.example.org")
	if err != nil {
		t.Fatal(err)
	}
	return &life{
		t: t, disk: &memory.Disk{}, site: &memory.Site{}, relay: &memory.Relay{},
		signals: memory.Signals{SystemUUID: ports.PresentSignal(uuidOfThisMachine), Virtual: true},
		settings: ports.Settings{
			ServerURL: server, SiteCode: "ACME-HQ", EnrollmentKey: ports.NewSecret("cek_aaaaaaaaaaaaaaaaaaaaaaaa"),
			ReenrollAfter: 24 * time.Hour, Delays: retry.Shipped(),
		},
		chance: func() float64 { return 0.5 },
	}
}

// setClock sets the machine's wall clock ahead of virtual time.
func (l *life) setClock(ahead time.Duration) { l.offset.Store(int64(ahead)) }

func (l *life) world() app.Deps {
	store := memory.OpenStore(l.disk)
	w := app.Deps{
		Settings: l.settings, Version: "1.2.3",
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(&l.log), &slog.HandlerOptions{Level: slog.LevelDebug})),
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
		w.Site = l.site
	}
	if l.change != nil {
		l.change(&w)
	}
	return w
}

// asked is a ports.StatusServer that a test asks directly.
type asked struct {
	mu    sync.Mutex
	calls ports.LocalCalls
}

func (a *asked) Serve(ctx context.Context, calls ports.LocalCalls) error {
	a.mu.Lock()
	a.calls = calls
	a.mu.Unlock()
	<-ctx.Done()
	return nil
}

// running is an agent between start and stop.
type running struct {
	asked
	l      *life
	cancel context.CancelFunc
	done   chan error
}

// start starts an agent and lets it come to rest.
func (l *life) start() *running {
	ctx, cancel := context.WithCancel(l.t.Context())
	r := &running{l: l, cancel: cancel, done: make(chan error, 1)}
	w := l.world()
	w.StatusServer = r
	go func() { r.done <- app.New(w).Run(ctx) }()
	synctest.Wait()
	return r
}

// Status is how the agent stands.
func (r *running) Status() ports.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls.Status == nil {
		return ports.Status{}
	}
	return r.calls.Status()
}

// stop tells the agent to stop; it must do so in no time.
func (r *running) stop() {
	r.l.t.Helper()
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

// refuse is a relay's Accept that refuses everyone with a code.
func refuse(code string) func(context.Context, ports.RelayHello) error {
	return func(context.Context, ports.RelayHello) error {
		return &ports.RelayRefusedError{Status: 401, Code: code}
	}
}

// switched is a relay's Accept that can be changed while an agent runs.
type switched struct {
	mu     sync.Mutex
	accept func(context.Context, ports.RelayHello) error
}

func (s *switched) set(accept func(context.Context, ports.RelayHello) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accept = accept
}

func (s *switched) Accept(ctx context.Context, hello ports.RelayHello) error {
	s.mu.Lock()
	accept := s.accept
	s.mu.Unlock()
	if accept == nil {
		return nil
	}
	return accept(ctx, hello)
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(fmt.Errorf("the test's URL: %w", err))
	}
	return u
}
