package ports

import (
	"context"
	"time"
)

// ManagerEnroller speaks to a manager, which gives a machine an mTLS certificate
// once an operator has approved it (docs/PROTOCOLS.md, "Manager enrollment").
//
// Each method makes exactly one request and never retries, ends within 30 s,
// and at once when ctx is done (the outcome is then transient, unless the whole
// answer had come: what it brought may not be sent again). No outcome is ever
// nil. No text in one holds a secret (the polling token, which rides in a
// URL, a private key), a control character or more than 200 characters of the
// manager's own words. Concurrent calls are allowed.
type ManagerEnroller interface {
	Register(ctx context.Context, r RegisterRequest) RegisterAnswer
	// Poll asks for the decision. The body of a 200 is handed over as it came,
	// undecoded: the manager forgets a bundle as it sends it, so it is made
	// durable before Interpret looks at it.
	Poll(ctx context.Context, token Secret) PollAnswer
	// Interpret reads the body of a poll's 200. It makes no request.
	Interpret(body Secret) PollDecision
	// Renew asks for a new certificate over mTLS with the present one.
	Renew(ctx context.Context, csr []byte) RenewAnswer
	// CRL fetches the current revocation list.
	CRL(ctx context.Context) CRLAnswer
}

// RegisterRequest is what a host tells the manager about itself.
type RegisterRequest struct {
	MachineID string // 32 hex digits
	FQDN      string
	IPAddress string
	OS        OSDetails
	Hostname  string
	CSR       []byte // PEM; the manager may ignore it
	// IdempotencyKey is the same for a request that is made again because its
	// answer was lost.
	IdempotencyKey string
}

// OSDetails describe the operating system; all may be empty.
type OSDetails struct {
	Distro   string // pretty name, "Debian GNU/Linux"
	Name     string // id, "debian"
	Version  string // "12"
	Codename string // "bookworm"
	IDLike   string
	Kernel   string // "6.1.0-18-amd64"
}

// RegisterAnswer is an outcome and what came with it.
type RegisterAnswer struct {
	Outcome    RegisterOutcome
	ServerTime time.Time // the Date header; zero if there was none
	RetryAfter string    // of a 202, 429 or 503, as it was sent
}

// RegisterOutcome is the closed set of answers to a registration.
//
//sumtype:decl
type RegisterOutcome interface{ registerOutcome() }

type (
	// Registered: 202, an operator will decide; Token asks for the decision.
	Registered struct{ Token Secret }
	// HostExists: 409.
	HostExists struct{ Detail string }
	// RegisterRateLimited: 429.
	RegisterRateLimited struct{}
	// RegisterTransient: 5xx, no connection, an answer that cannot be decoded,
	// a 202 without a token.
	RegisterTransient struct{ Reason string }
	// RegisterUnexpected: any other status.
	RegisterUnexpected struct {
		Status int
		Detail string
	}
)

func (Registered) registerOutcome()          {}
func (HostExists) registerOutcome()          {}
func (RegisterRateLimited) registerOutcome() {}
func (RegisterTransient) registerOutcome()   {}
func (RegisterUnexpected) registerOutcome()  {}

// PollAnswer is an outcome and what came with it.
type PollAnswer struct {
	Outcome    PollOutcome
	ServerTime time.Time
	RetryAfter string // of a 202, 429 or 503, as it was sent
}

// PollOutcome is the closed set of answers to a poll, before a 200 is looked
// at.
//
//sumtype:decl
type PollOutcome interface{ pollOutcome() }

type (
	// PollAnswered: 200. Body may hold a private key.
	PollAnswered struct{ Body Secret }
	// PollGone: 404, the token is unknown, expired or used.
	PollGone struct{}
	// PollTransient: 429, 5xx, no connection, a body that broke off.
	PollTransient struct{ Reason string }
	// PollUnexpected: any other status; the token stays.
	PollUnexpected struct {
		Status int
		Detail string
	}
)

func (PollAnswered) pollOutcome()   {}
func (PollGone) pollOutcome()       {}
func (PollTransient) pollOutcome()  {}
func (PollUnexpected) pollOutcome() {}

// PollDecision is the closed set of decisions that a poll's 200 may hold.
//
//sumtype:decl
type PollDecision interface{ pollDecision() }

type (
	// DecisionPending: an operator has not decided yet.
	DecisionPending struct{}
	// DecisionApproved: the bundle.
	DecisionApproved struct{ Bundle Bundle }
	// DecisionDenied: an operator refused.
	DecisionDenied struct{}
	// DecisionUnknown: the token is unknown, expired or used.
	DecisionUnknown struct{}
	// DecisionUnreadable: a body that cannot be decoded; class transient.
	DecisionUnreadable struct{ Reason string }
)

func (DecisionPending) pollDecision()    {}
func (DecisionApproved) pollDecision()   {}
func (DecisionDenied) pollDecision()     {}
func (DecisionUnknown) pollDecision()    {}
func (DecisionUnreadable) pollDecision() {}

// Bundle is what an approval or a renewal brings, PEM. Nothing in it has been
// judged.
type Bundle struct {
	CA    []byte
	Cert  []byte // the leaf, perhaps with intermediates
	Key   Secret // empty where the manager used the CSR
	Chain []byte // intermediates; may be empty
	CRL   []byte // may be empty
}

// RenewAnswer is an outcome and what came with it.
type RenewAnswer struct {
	Outcome    RenewOutcome
	ServerTime time.Time
	RetryAfter string
}

// RenewOutcome is the closed set of answers to a renewal.
//
//sumtype:decl
type RenewOutcome interface{ renewOutcome() }

type (
	// Renewed: 200, for the key of the CSR.
	Renewed struct{ Bundle Bundle }
	// RenewNotOffered: any 4xx but 408 and 429.
	RenewNotOffered struct{ Status int }
	// RenewTransient: 408, 429, 5xx, no connection, TLS failure, an answer
	// that cannot be decoded, any other status.
	RenewTransient struct{ Reason string }
)

func (Renewed) renewOutcome()         {}
func (RenewNotOffered) renewOutcome() {}
func (RenewTransient) renewOutcome()  {}

// CRLAnswer is a revocation list, PEM, not judged; or why there is none.
type CRLAnswer struct {
	PEM        []byte // empty if Reason says why there is none
	Reason     string
	ServerTime time.Time
	RetryAfter string
}
