package enrollment

import (
	"net/url"
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
		event   ports.Event
		advice  []string // what a person must be told
	}{
		"202":           {ports.SiteCollisionPending{}, ports.Pending, ports.SiteStatePending, "enroll.pending", []string{"enroll.example.org", "operator must confirm"}},
		"401":           {ports.SiteRejected{Detail: "key rotated"}, ports.Operator, ports.SiteStateRejected, "enroll.rejected", []string{"ACME-HQ", "key rotated", "MUSTER_ENROLLMENT_KEY", "MUSTER_SITE_CODE"}},
		"409":           {ports.SiteConflict{Detail: "in ACME-LAB"}, ports.Operator, ports.SiteStateConflict, "enroll.site_conflict", []string{"another site", "in ACME-LAB", "MUSTER_SITE_CODE"}},
		"429":           {ports.SiteRateLimited{}, ports.Transient, ports.SiteStateRetrying, "enroll.retry", []string{"limits"}},
		"5xx":           {ports.SiteTransient{Reason: "status 503"}, ports.Transient, ports.SiteStateRetrying, "enroll.retry", []string{"status 503"}},
		"anything else": {ports.SiteUnexpected{Status: 404}, ports.Operator, ports.SiteStateUnexpected, "enroll.rejected", []string{"status 404", "MUSTER_SERVER_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			next, failed := AfterSite(test.outcome, "enroll.example.org", "ACME-HQ").(SiteFail)
			is.True(failed) // a wait, and no key
			is.Equal(next.Class, test.class)
			is.Equal(next.State, test.state)
			is.Equal(next.Event, test.event)
			for _, words := range test.advice {
				is.True(strings.Contains(next.Advice, words)) // the advice names it
			}
		})
	}
	is := is.New(t)
	is.Equal(AfterSite(ports.SiteEnrolledNew{Key: key}, "", ""), SiteStore{Key: key})
	is.Equal(AfterSite(ports.SiteEnrolledAgain{Key: key}, "", ""), SiteStore{Key: key, Known: true})
}

func TestMissingForSite(t *testing.T) {
	server := &url.URL{Scheme: "https", Host: "a.example"}
	key := ports.NewSecret("cek_x")
	for want, s := range map[string]ports.Settings{
		"": {ServerURL: server, SiteCode: "HQ", EnrollmentKey: key},
		"set MUSTER_SERVER_URL, MUSTER_SITE_CODE and MUSTER_ENROLLMENT_KEY": {},
		"set MUSTER_SITE_CODE and MUSTER_ENROLLMENT_KEY":                    {ServerURL: server, APIKey: ports.NewSecret("shared")},
		"set MUSTER_SERVER_URL":                                             {SiteCode: "HQ", EnrollmentKey: key},
		"the enrollment key is missing: set MUSTER_ENROLLMENT_KEY, or put the key into the file that MUSTER_ENROLLMENT_KEY_FILE names": {ServerURL: server, SiteCode: "HQ"},
	} {
		is.New(t).Equal(MissingForSite(s), want)
	}
}
