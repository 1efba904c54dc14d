package fakeserver

import (
	"context"
	"log"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
)

// Server is the fake. Its zero value works: it knows no site (see AddSite),
// approves every registration at once and issues certificates for an hour.
//
// The exported fields are set before the first use and not changed after it,
// MutePongs apart. A Server must not be copied. All methods may be called
// concurrently.
type Server struct {
	// SeenRecently is how long after its last enrollment or relay connection
	// a machine still counts as active, so that the same machine_uid under
	// another hostname is a collision. Zero: 5 minutes. Negative: only a
	// connected machine is active.
	SeenRecently time.Duration

	// EnrollPerMinute is how many enrollments a site and client address may
	// ask for in a minute before 429. Zero: 6000. Negative: no limit.
	EnrollPerMinute int

	// LegacyKey is the deprecated shared API key: with it any machine may
	// connect to the relay without having been enrolled. Empty: none.
	LegacyKey string

	// MutePongs makes the relay leave pings unanswered while it is true, as if
	// the connection's other end had gone. It may be changed at any time.
	MutePongs atomic.Bool

	// Approval says when the manager approves a registration. Its zero value
	// approves at once.
	Approval Approval

	// CertLifetime is how long the manager's certificates are valid, in whole
	// seconds. Zero: 1 hour. Their validity starts when they are handed out,
	// with no allowance for a clock that is behind.
	CertLifetime time.Duration

	// CertAge is how much of that time, in whole seconds, has passed already of
	// a certificate that an approval brings, so that its first renewal is due
	// sooner. Zero: none. A renewal always brings one whose time begins now.
	CertAge time.Duration

	// CRLLifetime is the time from a revocation list's thisUpdate to its
	// nextUpdate. Zero: 24 hours.
	CRLLifetime time.Duration

	// RegisterInterval is the least time between two registrations from one
	// address; an earlier one gets 429 with Retry-After. A real manager asks
	// for a minute. Zero: no limit, since tests come from one address.
	RegisterInterval time.Duration

	// IgnoreCSR makes the manager one that has never heard of csr_pem: it
	// answers with a server_key of its own making.
	IgnoreCSR bool

	// NoRenew makes the manager one that does not have the renew endpoint: it
	// answers 404.
	NoRenew bool

	// AllowReRegister makes the manager take a registration of a host that it
	// knows already in place of the former one. Otherwise it gets 409 until
	// the host is denied, removed or approved again.
	AllowReRegister bool

	// ChainInServerCert appends the intermediate to server_crt. It is in
	// ca_chain either way.
	ChainInServerCert bool

	// PlainHTTP makes Start serve http in place of https.
	PlainHTTP bool

	// TLSNotBefore and TLSNotAfter are the dates of the server's own TLS
	// certificate. Zero: a year before and ten years after Start.
	TLSNotBefore, TLSNotAfter time.Time

	// Now is the server's wall clock: of the Date header, of certificates and
	// of what was seen when. Nil: time.Now.
	Now func() time.Time

	// ErrorLog gets the HTTP server's complaints, such as failed TLS
	// handshakes. Nil: they are discarded.
	ErrorLog *log.Logger

	setupOnce sync.Once
	setupErr  error
	router    chi.Router
	tlsCA     *authority // signs the server's own certificate
	managerCA *authority // signs what the manager issues

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever something below changes

	sites    map[string]*site
	machines map[string]*machine // by machine_uid
	enrolls  enrollCounts

	sessions      map[string]*session // by machine_uid; at most one for each
	sessionsLive  int                 // those in sessions, and replaced ones that are still ending
	sessionsTotal int

	enrollments    []*enrollment
	lastRegistered map[string]time.Time // by client address
	crlNumber      int64

	faults   []*fault
	requests []*Request

	connections int
	listening   *listening // nil when closed

	closing sync.Mutex // held by Close
}

// setup makes what the zero value lacks. Its error is that of the system's
// randomness or of making a certificate, and lasts.
func (s *Server) setup() error {
	s.setupOnce.Do(func() {
		s.changed = make(chan struct{})
		s.sites = make(map[string]*site)
		s.machines = make(map[string]*machine)
		s.sessions = make(map[string]*session)
		s.lastRegistered = make(map[string]time.Time)
		s.router = s.routes()
		if s.tlsCA, s.setupErr = newAuthority("Fake TLS", s.now()); s.setupErr != nil {
			return
		}
		s.managerCA, s.setupErr = newAuthority("Fake Manager", s.now())
	})
	return s.setupErr
}

// ready is setup for callers that cannot return an error. The state that they
// work on exists even if making the authorities failed; every request is then
// answered with 500.
func (s *Server) ready() { _ = s.setup() }

func (s *Server) routes() chi.Router {
	r := chi.NewRouter()
	r.Post("/api/enroll", s.serveEnroll)
	r.Get("/ws/agent", s.serveRelay)
	r.Route("/api/v1", func(r chi.Router) {
		r.Post("/enroll", s.serveRegister)
		r.Get("/enroll/status/{token}", s.servePoll)
		r.Post("/enroll/renew", s.serveRenew)
		r.Get("/pki/crl.pem", s.serveCRL)
		r.Get("/admin/enrollments", s.serveList)
		r.Post("/admin/enrollments/{id}/approve", s.control(approve))
		r.Delete("/admin/enrollments/{id}/deny", s.control(deny))
	})
	r.Route("/_fake", s.controlRoutes)
	return r
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// unlock ends a change of the state and wakes those who Await one.
func (s *Server) unlock() {
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
}

// Await returns nil as soon as condition is true, asking again after every
// request, frame and control; or the context's error once ctx is done.
// condition may call any method of s but Await and Close.
func (s *Server) Await(ctx context.Context, condition func() bool) error {
	s.ready()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// orDefault is value, or fallback where value is zero.
func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

var _ http.Handler = (*Server)(nil)
