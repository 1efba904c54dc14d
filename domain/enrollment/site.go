// Package enrollment turns a server's answer into what to do next.
package enrollment

import (
	"fmt"

	"github.com/muster-agent/muster/ports"
)

// SiteNext is what follows an answer to a site enrollment.
type SiteNext struct {
	// Key is the new key, to be stored. It is empty if there is none; the other
	// fields then say how to go on.
	Key ports.Secret
	// New is true if the server had not known the machine.
	New bool

	Class ports.DelayClass
	State ports.SiteState
	// Event is the stable log event of this outcome.
	Event string
	// Advice says what happened and what to do, in one sentence for a person.
	Advice string
}

// AfterSite decides what follows an answer of the site enrollment server
// (docs/PROTOCOLS.md, "Site enrollment"). server is named in the advice.
func AfterSite(outcome ports.SiteOutcome, server, site string) SiteNext {
	switch o := outcome.(type) {
	case ports.SiteEnrolledNew:
		return SiteNext{Key: o.Key, New: true, State: ports.SiteStateEnrolled, Event: "enroll.enrolled"}
	case ports.SiteEnrolledAgain:
		return SiteNext{Key: o.Key, State: ports.SiteStateEnrolled, Event: "enroll.enrolled"}
	case ports.SiteCollisionPending:
		return SiteNext{
			Class: ports.Pending, State: ports.SiteStatePending, Event: "enroll.pending",
			Advice: fmt.Sprintf("another active machine at %s looks like this one: an operator must confirm this machine there", server),
		}
	case ports.SiteRejected:
		return SiteNext{
			Class: ports.Operator, State: ports.SiteStateRejected, Event: "enroll.rejected",
			Advice: fmt.Sprintf("%s does not accept the enrollment key for site %q%s: check MUSTER_SITE_CODE and set MUSTER_ENROLLMENT_KEY to the site's present key", server, site, detail(o.Detail)),
		}
	case ports.SiteConflict:
		return SiteNext{
			Class: ports.Operator, State: ports.SiteStateConflict, Event: "enroll.site_conflict",
			Advice: fmt.Sprintf("this machine belongs to another site at %s than %q%s: move it there, or set MUSTER_SITE_CODE to the site it belongs to", server, site, detail(o.Detail)),
		}
	case ports.SiteRateLimited:
		return SiteNext{
			Class: ports.Transient, State: ports.SiteStateRetrying, Event: "enroll.retry",
			Advice: fmt.Sprintf("%s limits how often machines enroll: trying again later", server),
		}
	case ports.SiteTransient:
		return SiteNext{
			Class: ports.Transient, State: ports.SiteStateRetrying, Event: "enroll.retry",
			Advice: o.Reason,
		}
	case ports.SiteUnexpected:
		return SiteNext{
			Class: ports.Operator, State: ports.SiteStateUnexpected, Event: "enroll.rejected",
			Advice: fmt.Sprintf("%s answered the enrollment with status %d%s: check that MUSTER_SERVER_URL is an enrollment server of a version that knows /api/enroll", server, o.Status, detail(o.Detail)),
		}
	}
	panic(fmt.Sprintf("enrollment: unknown site outcome %T", outcome)) // a linter checks that the switch is whole
}

// detail puts a server's own words into parentheses, to go behind a statement.
func detail(words string) string {
	if words == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", words)
}
