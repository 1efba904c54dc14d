package ports

import (
	"context"
	"errors"
	"time"
)

// OverallState is the worst of an agent's parts.
type OverallState string

// The overall states.
const (
	StateStopped       OverallState = "stopped" // no agent is running; the rest is read from disk
	StateNotConfigured OverallState = "not_configured"
	StateBlocked       OverallState = "blocked" // an operator must act
	StatePending       OverallState = "pending" // an operator must decide
	StateEnrolling     OverallState = "enrolling"
	StateConnecting    OverallState = "connecting"
	StateConnected     OverallState = "connected" // all is well, a relay is configured
	StateServing       OverallState = "serving"   // all is well, certificates only
)

// SiteState is how the site enrollment stands.
type SiteState string

// The states of a site enrollment.
const (
	SiteStateEnrolled      SiteState = "enrolled"
	SiteStatePending       SiteState = "pending"
	SiteStateRejected      SiteState = "rejected"
	SiteStateConflict      SiteState = "site_conflict"
	SiteStateUnexpected    SiteState = "unexpected"
	SiteStateRetrying      SiteState = "retrying" // an attempt under way included
	SiteStateNotConfigured SiteState = "not_configured"
)

// IssuerState is how the request for a certificate stands at its issuer.
type IssuerState string

// The states of a request for a certificate.
const (
	IssuerStateApproved      IssuerState = "approved"
	IssuerStatePending       IssuerState = "pending"
	IssuerStateDenied        IssuerState = "denied"
	IssuerStateConflict      IssuerState = "conflict"
	IssuerStateUnexpected    IssuerState = "unexpected"
	IssuerStateRetrying      IssuerState = "retrying"
	IssuerStateNotConfigured IssuerState = "not_configured"
)

// RelayState is how the standing connection stands.
type RelayState string

// The states of the relay connection.
const (
	RelayStateConnected     RelayState = "connected"
	RelayStateConnecting    RelayState = "connecting"
	RelayStateRefused       RelayState = "refused"
	RelayStateNotConfigured RelayState = "not_configured"
)

// CertificateStatus is what is known of the certificate files.
type CertificateStatus string

// The states of a certificate.
const (
	CertValid         CertificateStatus = "valid"
	CertExpiringSoon  CertificateStatus = "expiring_soon"
	CertMissing       CertificateStatus = "missing"
	CertCorrupt       CertificateStatus = "corrupt"
	CertNotYetValid   CertificateStatus = "not_yet_valid"
	CertExpired       CertificateStatus = "expired"
	CertKeyMismatch   CertificateStatus = "key_mismatch"
	CertUntrusted     CertificateStatus = "untrusted"
	CertRevoked       CertificateStatus = "revoked"
	CertNotConfigured CertificateStatus = "not_configured"
)

// CredentialSource says where the key in use came from.
type CredentialSource string

// The sources of a key.
const (
	CredentialStored   CredentialSource = "stored"
	CredentialEnrolled CredentialSource = "enrolled" // by this very process
	CredentialLegacy   CredentialSource = "legacy"   // MUSTER_API_KEY
)

// Status is how a machine stands. Empty strings and zero times are unknown.
type Status struct {
	Version          string
	State            OverallState
	MachineUID       string
	MachineUIDSource IdentitySource
	AgentID          string
	Hostname         string
	Credential       CredentialStatus
	Site             SiteStatus
	Issuer           IssuerStatus
	Certificate      CertificateReport
	Relay            RelayStatus
	// ClockSkew is the server's clock less ours, in whole seconds; nil if no
	// server has told its time.
	ClockSkew    *time.Duration
	ListenerAddr string
	// Blocked says what keeps the agent from its work until a person acts, and
	// what to do; empty if nothing does.
	Blocked string
}

// CredentialStatus is the stored API key, without the key.
type CredentialStatus struct {
	Present     bool
	Source      CredentialSource
	StoredAt    time.Time
	Protection  string // "dpapi" or "file"
	Fingerprint string // first 8 hex digits of SHA-256
}

// SiteStatus is the site enrollment.
type SiteStatus struct {
	State       SiteState
	Since       time.Time
	NextAttempt time.Time
	LastError   string
}

// IssuerStatus is the request for a certificate.
type IssuerStatus struct {
	State       IssuerState
	Since       time.Time // not told to callers of StatusServer
	Polls       int
	NextAttempt time.Time
	LastError   string
}

// CertificateReport is the certificate in the configured files.
type CertificateReport struct {
	Status    CertificateStatus
	NotBefore time.Time
	NotAfter  time.Time
	RenewAt   time.Time
	Subject   string
	Detail    string
}

// RelayStatus is the standing connection.
type RelayStatus struct {
	State     RelayState
	Since     time.Time
	LastError string
}

// Why a running agent did not answer.
var (
	// ErrNotRunning: no agent serves this state directory.
	ErrNotRunning = errors.New("no agent is running")
	// ErrNotAnswering: an agent is there and did not answer within 2 s.
	ErrNotAnswering = errors.New("not answering")
	// ErrForbidden: this caller may not ask.
	ErrForbidden = errors.New("needs root")
)

// StatusClient asks the running agent.
//
// A method that gets no answer returns an error of kind ErrNotRunning,
// ErrForbidden or ErrNotAnswering; this last one at once when ctx is done.
// Times may be cut to whole seconds. Calls may be concurrent. No error holds a
// secret.
type StatusClient interface {
	// Status is how the agent stands. It answers within 2 s.
	Status(ctx context.Context) (Status, error)
	// RenewCertificates has the agent look at its certificate and renew it if
	// that is due. It waits for as long as the agent takes, until ctx is done.
	RenewCertificates(ctx context.Context) (RenewResult, error)
}

// RenewEnd is how a check of the certificates ended.
type RenewEnd string

// The ends of a check.
const (
	RenewDone    RenewEnd = "done"    // the certificate is good, or was renewed
	RenewPending RenewEnd = "pending" // an operator's decision is awaited
	RenewFailed  RenewEnd = "failed"
)

// RenewResult is how a check of the certificates ended.
type RenewResult struct {
	End  RenewEnd
	Line string // for the person who asked
}

// LocalCalls are what local callers may ask of an agent. They may be called
// concurrently.
type LocalCalls struct {
	Status func() Status
	// RenewCertificates is given a context that is done when the server's is.
	// An error is for the agent's own log: the caller learns only that there
	// is no answer.
	RenewCertificates func(ctx context.Context) (RenewResult, error)
}

// StatusServer answers local callers.
type StatusServer interface {
	// Serve answers each caller by calls until ctx is done; it then returns
	// nil, once the calls under way have returned. A caller who is slow, or
	// who has gone, does not keep the others waiting. Serve returns an error if
	// the endpoint cannot be opened. It may be called again once it has
	// returned.
	Serve(ctx context.Context, calls LocalCalls) error
}
