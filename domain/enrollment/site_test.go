package enrollment

import (
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

func TestAfterSite(t *testing.T) {
	key := ports.NewSecret("cak_aaaaaaaaaaaaaaaaaaaa")
	for name, test := range map[string]struct {
		outcome ports.SiteOutcome
		class   ports.DelayClass
		state   ports.SiteState
		event   string
		advice  []string // what a person must be told
	}{
		"201":           {ports.SiteEnrolledNew{Key: key}, "", ports.SiteStateEnrolled, "enroll.enrolled", nil},
		"200":           {ports.SiteEnrolledAgain{Key: key}, "", ports.SiteStateEnrolled, "enroll.enrolled", nil},
		"202":           {ports.SiteCollisionPending{}, ports.Pending, ports.SiteStatePending, "enroll.pending", []string{"enroll.example.org", "operator must confirm"}},
		"401":           {ports.SiteRejected{Detail: "key rotated"}, ports.Operator, ports.SiteStateRejected, "enroll.rejected", []string{"ACME-HQ", "key rotated", "MUSTER_ENROLLMENT_KEY", "MUSTER_SITE_CODE"}},
		"409":           {ports.SiteConflict{Detail: "in ACME-LAB"}, ports.Operator, ports.SiteStateConflict, "enroll.site_conflict", []string{"another site", "in ACME-LAB", "MUSTER_SITE_CODE"}},
		"429":           {ports.SiteRateLimited{}, ports.Transient, ports.SiteStateRetrying, "enroll.retry", []string{"limits"}},
		"5xx":           {ports.SiteTransient{Reason: "status 503"}, ports.Transient, ports.SiteStateRetrying, "enroll.retry", []string{"status 503"}},
		"anything else": {ports.SiteUnexpected{Status: 404}, ports.Operator, ports.SiteStateUnexpected, "enroll.rejected", []string{"status 404", "MUSTER_SERVER_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			next := AfterSite(test.outcome, "enroll.example.org", "ACME-HQ")
			is.Equal(next.Class, test.class)
			is.Equal(next.State, test.state)
			is.Equal(next.Event, test.event)
			is.Equal(next.Key.Empty(), test.class != "") // a key or a wait, never both
			for _, words := range test.advice {
				is.True(strings.Contains(next.Advice, words)) // the advice names it
			}
		})
	}
	is := is.New(t)
	is.True(AfterSite(ports.SiteEnrolledNew{Key: key}, "", "").New)    // 201
	is.True(!AfterSite(ports.SiteEnrolledAgain{Key: key}, "", "").New) // 200
}
