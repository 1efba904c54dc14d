// Package enrollment turns a server's answer into what to do next.
package enrollment

import (
	"fmt"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// SiteNext is the closed set of what follows an answer to a site enrollment.
//
//sumtype:decl
type SiteNext interface{ siteNext() }

type (
	// SiteStore: store the key.
	SiteStore struct {
		Key ports.Secret
		// Known: the server had known the machine, whose former key is void.
		Known bool
	}
	// SiteFail: try again after a wait of a class.
	SiteFail struct {
		Class ports.DelayClass
		State ports.SiteState
		Event ports.Event
		// Advice says what happened and what to do, in one sentence for a
		// person.
		Advice string
	}
)

func (SiteStore) siteNext() {}
func (SiteFail) siteNext()  {}

// AfterSite decides what follows an answer of the site enrollment server
// (docs/PROTOCOLS.md, "Site enrollment"). server is named in the advice.
func AfterSite(outcome ports.SiteOutcome, server, site string) SiteNext {
	switch o := outcome.(type) {
	case ports.SiteEnrolledNew:
		return SiteStore{Key: o.Key}
	case ports.SiteEnrolledAgain:
		return SiteStore{Key: o.Key, Known: true}
	case ports.SiteCollisionPending:
		return SiteFail{
			Class: ports.Pending, State: ports.SiteStatePending, Event: ports.EventEnrollPending,
			Advice: fmt.Sprintf("another active machine at %s looks like this one: an operator must confirm this machine there", server),
		}
	case ports.SiteRejected:
		return SiteFail{
			Class: ports.Operator, State: ports.SiteStateRejected, Event: ports.EventEnrollRejected,
			Advice: fmt.Sprintf("%s does not accept the enrollment key for site %q%s: check MUSTER_SITE_CODE and set MUSTER_ENROLLMENT_KEY to the site's present key", server, site, detail(o.Detail)),
		}
	case ports.SiteConflict:
		return SiteFail{
			Class: ports.Operator, State: ports.SiteStateConflict, Event: ports.EventEnrollSiteConflict,
			Advice: fmt.Sprintf("this machine belongs to another site at %s than %q%s: move it there, or set MUSTER_SITE_CODE to the site it belongs to", server, site, detail(o.Detail)),
		}
	case ports.SiteRateLimited:
		return SiteFail{
			Class: ports.Transient, State: ports.SiteStateRetrying, Event: ports.EventEnrollRetry,
			Advice: fmt.Sprintf("%s limits how often machines enroll: trying again later", server),
		}
	case ports.SiteTransient:
		return SitePassing(o.Reason)
	case ports.SiteUnexpected:
		return SiteFail{
			Class: ports.Operator, State: ports.SiteStateUnexpected, Event: ports.EventEnrollRejected,
			Advice: fmt.Sprintf("%s answered the enrollment with status %d%s: check that MUSTER_SERVER_URL is an enrollment server of a version that knows /api/enroll", server, o.Status, detail(o.Detail)),
		}
	}
	panic(fmt.Sprintf("enrollment: unknown site outcome %T", outcome)) // a linter checks that the switch is whole
}

// SitePassing is what follows a failure that time heals.
func SitePassing(reason string) SiteFail {
	return SiteFail{Class: ports.Transient, State: ports.SiteStateRetrying, Event: ports.EventEnrollRetry, Advice: reason}
}

// MissingForSite is what the configuration lacks for a site enrollment, as
// advice; empty if nothing.
func MissingForSite(s ports.Settings) string {
	var missing []string
	// A server alone is configured only with the shared key; else it is the one
	// that the stored key names.
	if s.ServerURL == nil || s.SiteCode == "" && s.APIKey.Empty() {
		missing = append(missing, "MUSTER_SERVER_URL")
	}
	if s.SiteCode == "" {
		missing = append(missing, "MUSTER_SITE_CODE")
	}
	switch {
	case s.EnrollmentKey.Empty() && len(missing) == 0:
		return "the enrollment key is missing: set MUSTER_ENROLLMENT_KEY, or put the key into the file that MUSTER_ENROLLMENT_KEY_FILE names"
	case s.EnrollmentKey.Empty():
		missing = append(missing, "MUSTER_ENROLLMENT_KEY")
	case len(missing) == 0:
		return ""
	}
	last := len(missing) - 1
	if last == 0 {
		return "set " + missing[0]
	}
	return "set " + strings.Join(missing[:last], ", ") + " and " + missing[last]
}

// detail puts a server's own words into parentheses, to go behind a statement.
func detail(words string) string {
	if words == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", words)
}
