package ports

import (
	"context"
	"time"
)

// CertificateIssuer gives a machine its certificate: a manager whose operator
// approves each host, or another certificate authority.
//
// Each method but Interpret makes exactly one request and never retries, ends
// within 30 s, and at once when ctx is done (the outcome is then Unavailable,
// unless the whole answer had come: what it brought may not be sent again). No
// outcome is ever nil. No text in one holds a secret (a resume value, a private
// key), a control character or more than 200 characters of the issuer's own
// words. Concurrent calls are allowed.
type CertificateIssuer interface {
	// Submit asks for a certificate, or, with a resume value, for what became
	// of the request that gave it.
	Submit(ctx context.Context, r IssueRequest) Answer[SubmitOutcome]
	// Renew asks for another certificate with the present one, over mTLS. csr
	// is PEM.
	Renew(ctx context.Context, csr []byte) Answer[RenewOutcome]
	// Interpret reads an answer that Submit or Renew received, in this process
	// or an earlier one. It makes no request, and says the same each time.
	Interpret(r Received) IssueDecision
	// CACertificates asks for the issuer's CA certificates.
	CACertificates(ctx context.Context) Answer[CAOutcome]
}

// RevocationSource is an issuer that publishes a revocation list. RevocationList
// has the guarantees of CertificateIssuer.
type RevocationSource interface {
	RevocationList(ctx context.Context) Answer[RevocationOutcome]
}

// IssueRequest is what a host tells an issuer about itself.
type IssueRequest struct {
	MachineID string // 32 hex digits
	Host      HostFacts
	CSR       []byte // PEM; the issuer may ignore it and make the key itself
	// IdempotencyKey is the same for a request that is made again because its
	// answer was lost.
	IdempotencyKey string
	// Resume is what the issuer gave for an earlier request, whose decision is
	// asked for; empty for a new one.
	Resume Secret
}

// Received is an answer as it came, undecoded. Issuers hand a certificate out
// once, so it is made durable before Interpret looks at it. It may hold a
// private key.
type Received struct {
	Raw Secret
	// Renewal: it answers a renewal.
	Renewal bool
}

// SubmitOutcome is the closed set of answers to a submission.
//
//sumtype:decl
type SubmitOutcome interface{ submitOutcome() }

// RenewOutcome is the closed set of answers to a renewal.
//
//sumtype:decl
type RenewOutcome interface{ renewOutcome() }

// IssueDecision is the closed set of what a received answer may say.
//
//sumtype:decl
type IssueDecision interface{ issueDecision() }

// CAOutcome is the closed set of answers to a question for CA certificates.
//
//sumtype:decl
type CAOutcome interface{ caOutcome() }

// RevocationOutcome is the closed set of answers to a question for a
// revocation list.
//
//sumtype:decl
type RevocationOutcome interface{ revocationOutcome() }

type (
	// IssueReceived: an answer that may hold a certificate.
	IssueReceived struct{ Received Received }
	// IssuePending: an operator will decide. Resume asks for the decision from
	// now on; empty: the one of the request goes on doing so.
	IssuePending struct{ Resume Secret }
	// IssueDenied: an operator refused.
	IssueDenied struct{}
	// IssueKnown: the issuer has this host already, and wants an operator.
	IssueKnown struct{ Detail string }
	// IssueUnknown: the issuer does not know the request that the resume value
	// stands for: it is expired or used.
	IssueUnknown struct{}
	// IssueNeedsCredentials: the issuer does not accept this host's
	// credentials, or wants some. Detail says which.
	IssueNeedsCredentials struct{ Detail string }
	// IssueBusy: the issuer limits how often it is asked.
	IssueBusy struct{ Reason string }
	// IssueUnexpected: an answer that this kind of issuer does not give. Check
	// is what to check, as the end of "check that …".
	IssueUnexpected struct {
		Status int
		Detail string
		Check  string
	}

	// RenewNotOffered: the issuer does not renew this certificate by itself.
	RenewNotOffered struct{ Status int }

	// Issued: a certificate.
	Issued struct{ Bundle Bundle }
	// IssueUnreadable: an answer that cannot be decoded.
	IssueUnreadable struct{ Reason string }

	// CACertificates are the issuer's roots, PEM, not judged.
	CACertificates struct{ PEM []byte }
	// CANotOffered: the issuer hands its CA out with each certificate only.
	CANotOffered struct{}

	// RevocationList is the current list, PEM, not judged.
	RevocationList struct{ PEM []byte }

	// Unavailable: 5xx, no connection, TLS failure, time-out, an answer that
	// broke off or cannot be decoded; of a renewal or a list any other status
	// too. Reason is a sentence part that names what failed.
	Unavailable struct{ Reason string }
)

func (IssueReceived) submitOutcome()         {}
func (IssuePending) submitOutcome()          {}
func (IssueDenied) submitOutcome()           {}
func (IssueKnown) submitOutcome()            {}
func (IssueUnknown) submitOutcome()          {}
func (IssueNeedsCredentials) submitOutcome() {}
func (IssueBusy) submitOutcome()             {}
func (IssueUnexpected) submitOutcome()       {}
func (Unavailable) submitOutcome()           {}

func (IssueReceived) renewOutcome()   {}
func (RenewNotOffered) renewOutcome() {}
func (Unavailable) renewOutcome()     {}

func (Issued) issueDecision()          {}
func (IssuePending) issueDecision()    {}
func (IssueDenied) issueDecision()     {}
func (IssueUnknown) issueDecision()    {}
func (IssueUnreadable) issueDecision() {}

func (CACertificates) caOutcome() {}
func (CANotOffered) caOutcome()   {}
func (Unavailable) caOutcome()    {}

func (RevocationList) revocationOutcome() {}
func (Unavailable) revocationOutcome()    {}

// Bundle is what an approval or a renewal brings, PEM. Nothing in it has been
// judged.
type Bundle struct {
	CA    []byte // empty where the issuer hands its CA certificates out apart
	Cert  []byte // the leaf, perhaps with intermediates
	Key   Secret // empty where the issuer used the CSR
	Chain []byte // intermediates; may be empty
	CRL   []byte // may be empty
}

// IssuePhase is how far a request for a certificate has come.
type IssuePhase string

// The phases.
const (
	// PhaseIdle: no request is under way.
	PhaseIdle IssuePhase = "idle"
	// PhaseSubmitted: a request was made, or was about to be, and its answer is
	// not known.
	PhaseSubmitted IssuePhase = "submitted"
	// PhasePending: an operator's decision is awaited.
	PhasePending IssuePhase = "pending"
)

// PendingIssue is a request for a certificate under way. Its zero value is of
// no issuer and no phase.
type PendingIssue struct {
	Issuer string // its URL: the only one to which Resume may be sent
	Phase  IssuePhase
	// IdempotencyKey of PhaseSubmitted.
	IdempotencyKey string
	// Resume, SubmittedAt and Polls are of PhasePending: what asks for the
	// decision, when it was given, and the pending answers in this round.
	Resume      Secret
	SubmittedAt time.Time
	Polls       int
}

// ReceivedBundle is an answer that brought a certificate, before and while it
// is installed.
type ReceivedBundle struct {
	Received
	// Interpreted is a renewal's bundle in the place of Received.Raw, as
	// version 1 of the record had it; else nil.
	Interpreted *Bundle
	Issuer      string
	ReceivedAt  time.Time
	// PreviousKept: the files before it are kept as the previous ones, and
	// installing has begun.
	PreviousKept bool
}

// IssueJournal keeps what a request for a certificate needs to survive a crash
// at any moment, with the guarantees of CredentialStore about crashes,
// concurrency and errors.
type IssueJournal interface {
	// LoadPending and SavePending keep enrollment/pending.json.
	LoadPending(ctx context.Context) (PendingIssue, error)
	SavePending(ctx context.Context, p PendingIssue) error

	// LoadKey, SaveKey and EraseKey keep enrollment/key.pem, the private key
	// (PEM, PKCS #8) of a CSR under way.
	LoadKey(ctx context.Context) (Secret, error)
	SaveKey(ctx context.Context, pem Secret) error
	EraseKey(ctx context.Context) error

	// ReserveBundle makes sure that there is room for a bundle, so that the
	// SaveBundle after it does not fail for want of space. It costs nothing
	// where the room is there already. It fails with ErrNotWritten.
	ReserveBundle(ctx context.Context) error
	// LoadBundle, SaveBundle and EraseBundle keep enrollment/bundle.json, what
	// was received until it is installed.
	LoadBundle(ctx context.Context) (ReceivedBundle, error)
	SaveBundle(ctx context.Context, b ReceivedBundle) error
	EraseBundle(ctx context.Context) error
	// RejectBundle moves the received bundle to enrollment/rejected/ (the
	// newest three are kept), for an operator to look at, and returns where.
	RejectBundle(ctx context.Context) (where string, err error)
}
