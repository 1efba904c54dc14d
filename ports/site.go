package ports

import "context"

// SiteEnroller asks a site enrollment server for an API key
// (POST <server>/api/enroll).
//
// Enroll makes exactly one request and never retries. It never returns nil in
// Outcome. It ends within 30 s, and at once when ctx is done (the outcome is
// then SiteTransient). No text in an outcome holds a secret, a control
// character or more than 200 characters of the server's own words.
// Concurrent calls are allowed.
type SiteEnroller interface {
	Enroll(ctx context.Context, request SiteRequest) Answer[SiteOutcome]
}

// SiteRequest is what a machine tells the server about itself.
type SiteRequest struct {
	SiteCode      string
	EnrollmentKey Secret
	MachineUID    string // muid_<64 hex digits>
	Hostname      string
	Labels        Labels
}

// Labels are free texts that an operator gives a machine; all may be empty.
type Labels struct {
	Company, Site, Department, DeviceType string
	Tags                                  []string
}

// SiteOutcome is the closed set of answers to a site enrollment.
//
//sumtype:decl
type SiteOutcome interface{ siteOutcome() }

type (
	// SiteEnrolledNew: 201, the server had not known this machine.
	SiteEnrolledNew struct{ Key Secret }
	// SiteEnrolledAgain: 200, a known machine; its former key is void.
	SiteEnrolledAgain struct{ Key Secret }
	// SiteCollisionPending: 202, an active machine looks like this one; an
	// operator must confirm.
	SiteCollisionPending struct{}
	// SiteRejected: 401, wrong or rotated key, or unknown site.
	SiteRejected struct{ Detail string }
	// SiteConflict: 409, the machine belongs to another site.
	SiteConflict struct{ Detail string }
	// SiteRateLimited: 429.
	SiteRateLimited struct{}
	// SiteTransient: 5xx, no connection, TLS failure, time-out, an answer
	// that cannot be decoded, a 200 or 201 without a usable key. Reason is a
	// sentence part that names what failed.
	SiteTransient struct{ Reason string }
	// SiteUnexpected: any other status, redirects included.
	SiteUnexpected struct {
		Status int
		Detail string
	}
)

func (SiteEnrolledNew) siteOutcome()      {}
func (SiteEnrolledAgain) siteOutcome()    {}
func (SiteCollisionPending) siteOutcome() {}
func (SiteRejected) siteOutcome()         {}
func (SiteConflict) siteOutcome()         {}
func (SiteRateLimited) siteOutcome()      {}
func (SiteTransient) siteOutcome()        {}
func (SiteUnexpected) siteOutcome()       {}
