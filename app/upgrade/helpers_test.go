package upgrade_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/certfiles"
	"github.com/muster-agent/muster/adapters/managerapi"
	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/adapters/processlock"
	"github.com/muster-agent/muster/adapters/siteapi"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/adapters/unsupervised"
	"github.com/muster-agent/muster/app"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// How the recorded machine was configured, and which hardware it had.
const (
	recordedSite     = "ACME-HQ"
	recordedSiteKey  = "cek_bWFkZS11cC1mb3ItdGhlc2UtcmVjb3JkaW5ncw"
	recordedUID      = "muid_f4fa421b1d71a93122692fd50ebd9f9af32a71bc1eea70048a464d409b7ed378"
	recordedHostname = "web-3"
)

var recordedURL = &url.URL{Scheme: "https", Host: "localhost:8443"}

var recordedSignals = memory.Signals{
	SystemUUID:      ports.PresentSignal("4c4c4544-0042-4a10-8054-b7c04f503632"),
	BaseboardSerial: ports.PresentSignal("CN7475163R0412"),
	DiskSerial:      ports.PresentSignal("S4EVNX0N614207"),
	OSMachineID:     ports.PresentSignal("5f0c2b6a9d1e4c3fa7b8e2d4c6a81f37"),
}

// The delays that ship, as far as a test counts on them.
const (
	leastAfterAttempt = 10 * time.Second // from an attempt to that of the next process
	leastSecondWait   = 24 * time.Minute // of class operator: 30 min ±20 %; the first is 15 min
)

// The paths of the servers' endpoints.
const (
	enrollPath   = "/api/enroll"
	registerPath = "/api/v1/enroll"
	pollPath     = "/api/v1/enroll/status/"
	renewPath    = "/api/v1/enroll/renew"
	crlPath      = "/api/v1/pki/crl.pem"
)

// aTime is a member of a record that holds a time.
var aTime = regexp.MustCompile(`"(\w+)":"(\d{4}-[^"]+Z)"`)

// host is a machine with a copy of a recorded state directory, in virtual time
// and without a socket: the stores and the clients of both servers are the
// real ones.
type host struct {
	t        *testing.T
	recorded string // the directory that is copied
	dir      string
	ahead    time.Duration // of the wall clock, over virtual time
	settings ports.Settings
	signals  memory.Signals
	relay    memory.Relay
	servers  servers // both enrollment servers
	files    keeping
	inUse    memory.Listener
	log      memory.Output

	mu        sync.Mutex
	recovered []ports.Recovery
}

// takeOver tells what becomes of the machine as it was recorded at a moment.
func takeOver(t *testing.T, moment string, tell func(t *testing.T, is *is.I, h *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(t, is.New(t), newHost(t, moment)) })
}

// newHost is the machine as it goes on a second after a moment. It is
// configured for no server yet.
func newHost(t *testing.T, moment string) *host {
	t.Helper()
	h := &host{t: t, recorded: filepath.Join("testdata", "state-1.x", moment), dir: filepath.Join(t.TempDir(), "state"), signals: recordedSignals}
	if err := os.CopyFS(h.dir, os.DirFS(h.recorded)); err != nil {
		t.Fatal(err)
	}
	var newest time.Time
	h.walk(func(name string, entry fs.DirEntry) {
		mode := fs.FileMode(0o700)
		if !entry.IsDir() {
			mode = 0o600
			for _, found := range aTime.FindAllStringSubmatch(string(content(t, h.path(name))), -1) {
				at, err := time.Parse(time.RFC3339, found[2])
				if err == nil && found[1] != "next" && found[1] != "not_before" && at.After(newest) {
					newest = at
				}
			}
		}
		if err := os.Chmod(h.path(name), mode); err != nil { // nobody else may read it
			t.Fatal(err)
		}
	})
	h.ahead = time.Until(newest) + time.Second
	h.servers.now = h.now
	h.settings = ports.Settings{
		StateDir: h.dir, ReenrollAfter: 24 * time.Hour,
		PollingInterval: time.Minute, MaxPollAttempts: 1440, RenewalThreshold: 7 * 24 * time.Hour,
		CACertFile: h.path("certs/ca.pem"), ServerCertFile: h.path("certs/server.pem"),
		ServerKeyFile: h.path("certs/server.key.pem"), CRLFile: h.path("certs/crl.pem"),
		Delays: retry.Shipped(),
	}
	s := h.settings
	h.files.Files = certfiles.New(certfiles.Paths{CA: s.CACertFile, Server: s.ServerCertFile, Key: s.ServerKeyFile, CRL: s.CRLFile})
	h.files.Recovered = h.recover
	return h
}

func (h *host) atSite() *host {
	h.settings.ServerURL, h.settings.SiteCode, h.settings.EnrollmentKey = recordedURL, recordedSite, ports.NewSecret(recordedSiteKey)
	return h
}

func (h *host) atManager() *host {
	h.settings.ManagerURL = recordedURL
	return h
}

func (h *host) now() time.Time          { return time.Now().Add(h.ahead) }
func (h *host) path(name string) string { return filepath.Join(h.dir, filepath.FromSlash(name)) }

// store opens the state directory.
func (h *host) store(readOnly bool) *statedir.Dir {
	store, err := statedir.Open(h.dir, statedir.Options{ReadOnly: readOnly, Version: "test", Recovered: h.recover, Now: h.now})
	if err != nil {
		h.t.Fatal(err)
	}
	return store
}

// keeping are certificate files that count how often they were asked to keep
// the present ones as the previous ones.
type keeping struct {
	*certfiles.Files
	kept atomic.Int64
}

func (k *keeping) KeepPrevious(ctx context.Context) error {
	k.kept.Add(1)
	return k.Files.KeepPrevious(ctx)
}

func (h *host) recover(r ports.Recovery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recovered = append(h.recovered, r)
}

// agent is a running agent.
type agent struct {
	h        *host
	cancel   context.CancelFunc
	done     chan error
	stopped  bool
	endpoint memory.StatusEndpoint
}

func (a *agent) status() ports.Status {
	a.h.t.Helper()
	status, err := a.endpoint.Status(a.h.t.Context())
	is.New(a.h.t).NoErr(err)
	return status
}

// start starts an agent and lets it come to rest. It is stopped at the end of
// the test, unless the test stops it. It and fromDisk are all that knows how an
// agent is made.
func (h *host) start() *agent {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	a := &agent{h: h, cancel: cancel, done: make(chan error, 1)}
	store := h.store(false)
	w := app.Deps{
		Settings: h.settings, Version: "test",
		Log: slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Machine: app.Machine{
			Hostname: recordedHostname, Signals: h.signals, Wall: h.now,
			Chance: func() float64 { return 0.5 },
			Random: func(b []byte) {
				for i := range b {
					b[i] = byte(i)
				}
			},
		},
		State: app.State{Identities: store, Credentials: store, Retries: store, Directory: store, Lock: processlock.New(h.dir)},
		Host:  app.Host{Supervisor: unsupervised.Supervisor{}, StatusServer: &a.endpoint},
	}
	if h.settings.ServerURL != nil {
		w.Site, w.Relay = siteapi.New(h.settings.ServerURL, &h.servers, "muster/test", error.Error), &h.relay
	}
	if h.settings.ManagerURL != nil {
		manager := managerapi.New(h.settings.ManagerURL, &h.servers, &h.servers, "muster/test", error.Error)
		w.Issuer, w.Revocations = manager, manager
		w.Describer = memory.Host{Hostname: recordedHostname, FQDN: "web-3.example.org", IPAddress: "192.0.2.7"}
		w.Certificates, w.InUse, w.Journal = &h.files, &h.inUse, store
	}
	go func() { a.done <- app.New(w).Run(ctx) }()
	h.t.Cleanup(a.stop)
	synctest.Wait()
	return a
}

// stop tells the agent to stop.
func (a *agent) stop() {
	a.h.t.Helper()
	if a.stopped {
		return
	}
	a.stopped = true
	a.cancel()
	if err := <-a.done; err != nil {
		a.h.t.Errorf("Run: %v", err)
	}
	if a.h.t.Failed() {
		a.h.t.Logf("the agent wrote:\n%s", &a.h.log)
	}
}

// fromDisk is how the machine stands as the status command says it while no
// agent runs.
func (h *host) fromDisk() ports.Status {
	h.t.Helper()
	store := h.store(true)
	return app.StatusFromDisk(h.t.Context(), app.Disk{
		Settings: h.settings, Version: "test", Hostname: recordedHostname, Now: h.now(),
		Identities: store, Credentials: store, Retries: store, Journal: store, Certificates: &h.files,
	})
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// hello is what the agent said to the relay when it last connected.
func (h *host) hello() ports.RelayHello {
	h.t.Helper()
	connection := h.relay.Last()
	if connection == nil {
		h.t.Fatalf("it is not connected to the relay:\n%s", &h.log)
	}
	return connection.Hello()
}

// passUntil lets time go by until it is a time of the wall clock.
func (h *host) passUntil(at time.Time) { pass(at.Sub(h.now())) }

// servers are both enrollment servers, as an http.RoundTripper.
type servers struct {
	now func() time.Time
	// answer answers; without it they are busy. It is set before the start.
	answer func(request) answer

	mu   sync.Mutex
	seen []request
}

type request struct {
	at         time.Time
	path       string
	idempotent string // the Idempotency-Key
	body       map[string]any
}

type answer struct {
	status int
	body   string
}

// RoundTrip implements http.RoundTripper.
func (s *servers) RoundTrip(r *http.Request) (*http.Response, error) {
	q := request{at: s.now(), path: r.URL.Path, idempotent: r.Header.Get("Idempotency-Key")}
	if r.Body != nil {
		if err := json.NewDecoder(r.Body).Decode(&q.body); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.seen = append(s.seen, q)
	s.mu.Unlock()
	a := answer{status: http.StatusServiceUnavailable}
	if s.answer != nil {
		a = s.answer(q)
	}
	return &http.Response{
		StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body)),
	}, nil
}

// got are the requests to an endpoint, oldest first; of one that ends in a
// slash, to all below it.
func (s *servers) got(endpoint string) []request {
	return s.those(func(path string) bool {
		return path == endpoint || strings.HasSuffix(endpoint, "/") && strings.HasPrefix(path, endpoint)
	})
}

// all are all requests, oldest first.
func (s *servers) all() []request { return s.those(func(string) bool { return true }) }

// asked are all requests but those for the revocation list, oldest first.
func (s *servers) asked() []request {
	return s.those(func(path string) bool { return path != crlPath })
}

func (s *servers) those(which func(path string) bool) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.seen), func(q request) bool { return !which(q.path) })
}

// recording is a file as it was recorded.
func (h *host) recording(name string) []byte {
	h.t.Helper()
	return content(h.t, filepath.Join(h.recorded, filepath.FromSlash(name)))
}

// read decodes the payload of a record as it was recorded, by nobody's code but
// this test's.
func (h *host) read(name string, into any) {
	h.t.Helper()
	var envelope struct{ Payload json.RawMessage }
	mustDecode(h.t, h.recording(name), &envelope)
	mustDecode(h.t, envelope.Payload, into)
}

// retryNote is what was recorded of an activity's attempts.
type retryNote struct {
	LastAttempt time.Time `json:"last_attempt"`
	NotBefore   time.Time `json:"not_before"`
	Since       time.Time
	Refusal     struct {
		CodeSince time.Time `json:"code_since"`
	}
}

func (h *host) retryOf(activity string) retryNote {
	h.t.Helper()
	var record struct{ Activities map[string]retryNote }
	h.read("enrollment/retry.json", &record)
	note, ok := record.Activities[activity]
	if !ok || note.LastAttempt.IsZero() {
		h.t.Fatalf("%s notes no attempt of %q", h.recorded, activity)
	}
	return note
}

// received is the bundle in the recorded journal, as the manager sent it.
func (h *host) received(name string) (body string, leaf *x509.Certificate) {
	h.t.Helper()
	var record struct {
		Body    []byte
		Renewed struct{ Cert []byte }
	}
	h.read(name, &record)
	sent := record.Renewed.Cert
	if sent == nil {
		var bundle struct {
			Cert string `json:"server_crt"`
		}
		mustDecode(h.t, record.Body, &bundle)
		sent = []byte(bundle.Cert)
	}
	return string(record.Body), parseLeaf(h.t, sent)
}

// leaf is the certificate in a recorded file.
func (h *host) leaf(name string) *x509.Certificate {
	h.t.Helper()
	return parseLeaf(h.t, h.recording(name))
}

func parseLeaf(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("there is no PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// walk visits everything in the state directory.
func (h *host) walk(visit func(name string, entry fs.DirEntry)) {
	h.t.Helper()
	err := fs.WalkDir(os.DirFS(h.dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil {
			visit(name, entry)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// all are the files of the state directory but that of the lock.
func (h *host) all() (names []string) {
	h.t.Helper()
	h.walk(func(name string, entry fs.DirEntry) {
		if !entry.IsDir() && name != "agent.lock" {
			names = append(names, name)
		}
	})
	return names
}

// has fails the test unless the state directory holds these files and no
// others.
func (h *host) has(want ...string) {
	h.t.Helper()
	slices.Sort(want)
	is.New(h.t).Equal(h.all(), want) // the files of the state directory
}

// serves fails the test unless the certificate is in use, and on disk with its
// key.
func (h *host) serves(leaf *x509.Certificate) {
	h.t.Helper()
	is := is.New(h.t)
	used := h.inUse.InUse()
	is.True(used != nil)
	is.Equal(used.Certificate.Leaf.SerialNumber, leaf.SerialNumber) // the certificate in use
	pair, err := tls.LoadX509KeyPair(h.settings.ServerCertFile, h.settings.ServerKeyFile)
	is.NoErr(err)
	is.Equal(pair.Leaf.SerialNumber, leaf.SerialNumber) // that on disk
}

// isAsRecorded fails the test unless a file is as it was recorded.
func (h *host) isAsRecorded(names ...string) {
	h.t.Helper()
	for _, name := range names {
		if !bytes.Equal(content(h.t, h.path(name)), h.recording(name)) {
			h.t.Errorf("%s is not as it was recorded", name)
		}
	}
}

// expectRecovered fails the test unless exactly these replacements were
// finished, and nothing else was not sound.
func (h *host) expectRecovered(files ...string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var got []string
	for _, r := range h.recovered {
		if r.Action != "completed an interrupted replacement" {
			h.t.Errorf("%s: %s: %s", r.File, r.Action, r.Reason)
		}
		got = append(got, filepath.ToSlash(strings.TrimPrefix(r.File, h.dir+string(filepath.Separator))))
	}
	is.New(h.t).Equal(got, files) // what was completed
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustDecode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}
