package siteapi_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/siteapi"
	"github.com/muster-agent/muster/contracttest/golden"
	"github.com/muster-agent/muster/ports"
)

// The messages in testdata are written by hand, from docs/PROTOCOLS.md, "Site
// enrollment".

var (
	plain = ports.SiteRequest{
		SiteCode:      "ACME-HQ",
		EnrollmentKey: ports.NewSecret("cek_1f0c9a77d2"),
		MachineUID:    "muid_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		Hostname:      "desk-17",
	}
	labelled = func() ports.SiteRequest {
		r := plain
		r.Labels = ports.Labels{
			Company: "Acme & Söhne <Lyon>", Site: "HQ", Department: "Sales", DeviceType: "workstation", Tags: []string{"laptop", "finance"},
		}
		return r
	}()
)

func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]ports.SiteRequest{"enroll": labelled, "enroll-unlabelled": plain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire := &golden.Wire{T: t}
			client(wire).Enroll(t.Context(), request)
			wire.Asked(name)
		})
	}
}

func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	key := ports.NewSecret("cak_9c41f2b86e0d75aa")
	tests := map[string]ports.Answer[ports.SiteOutcome]{
		"201-new":                 {Outcome: ports.SiteEnrolledNew{Key: key}, ServerTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		"201-new-unknown-fields":  {Outcome: ports.SiteEnrolledNew{Key: key}},
		"200-again":               {Outcome: ports.SiteEnrolledAgain{Key: key}},
		"200-no-key":              {Outcome: ports.SiteTransient{}},
		"201-key-of-another-type": {Outcome: ports.SiteTransient{}},
		"201-key-of-another-kind": {Outcome: ports.SiteTransient{}},
		"201-key-too-short":       {Outcome: ports.SiteTransient{}},
		"202-collision":           {Outcome: ports.SiteCollisionPending{}, RetryAfter: "120"},
		"202-with-a-key":          {Outcome: ports.SiteCollisionPending{}},
		"401-rejected":            {Outcome: ports.SiteRejected{Detail: "ENROLL_REJECTED: wrong enrollment key, or unknown site"}},
		"401-empty":               {Outcome: ports.SiteRejected{}},
		"409-conflict":            {Outcome: ports.SiteConflict{Detail: "ENROLL_SITE_CONFLICT: this machine belongs to another site"}},
		"429-limited":             {Outcome: ports.SiteRateLimited{}, RetryAfter: "Sun, 01 Mar 2026 12:05:00 GMT"},
		"503-busy":                {Outcome: ports.SiteTransient{}, RetryAfter: "30"},
		"302-elsewhere":           {Outcome: ports.SiteUnexpected{Status: 302, Detail: "a redirect to https://login.example.org, which is not followed"}},
		"400-version":             {Outcome: ports.SiteUnexpected{Status: 400, Detail: "labels.tags is missing"}},
	}
	is.New(t).Equal(golden.Answers(t), len(tests)) // every answer in testdata is tested
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			got := client(&golden.Wire{T: t, Answer: name}).Enroll(t.Context(), labelled)
			if transient, ok := got.Outcome.(ports.SiteTransient); ok {
				is.True(transient.Reason != "")
				got.Outcome = ports.SiteTransient{} // the words are not the protocol's
			}
			is.Equal(got.Outcome, want.Outcome)
			is.True(got.ServerTime.Equal(want.ServerTime))
			is.Equal(got.RetryAfter, want.RetryAfter)
		})
	}
}

func client(transport http.RoundTripper) *siteapi.Client {
	base := &url.URL{Scheme: "https", Host: "enroll.example.org", Path: "/"}
	return siteapi.New(base, transport, "muster/1.2.3 (linux; amd64)", error.Error)
}
