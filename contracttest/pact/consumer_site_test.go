//go:build pact

package pact_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pact-foundation/pact-go/v2/matchers"

	"github.com/muster-agent/muster/ports"
)

// What the machine of these interactions says of itself.
const (
	siteCode      = "ACME-HQ"
	otherSiteCode = "ACME-LYON"
	noSiteCode    = "ACME-NOWHERE"
	machineUID    = "muid_f027fc05a1589e78e9ed8b06444fcf31554b95ab4a12c70bdf246ed258c06fb2"
	siteHostname  = "desk-17"
	enrollmentKey = "cek_contract0123456789"
	apiKey        = "cak_contract0123456789"
)

// apiKeyForm is a usable key: 20 characters at least, none of them spaces or
// control characters.
const apiKeyForm = `^cak_[^\s\x00-\x1f\x7f]{16,}$`

var labels = ports.Labels{
	Company: "Acme", Site: "HQ", Department: "Sales", DeviceType: "workstation", Tags: []string{"laptop", "finance"},
}

// enrolling is an enrollment of the machine, with the key that the provider's
// state gives.
func enrolling(code string, l ports.Labels) interaction {
	tags := append([]string{}, l.Tags...)
	return interaction{in: site, request: request{
		method: "POST", path: literal("/api/enroll"), headers: requestHeaders(true),
		body: map[string]any{
			"site_code":      code,
			"enrollment_key": injected("enrollment_key", "", enrollmentKey, `^cek_.+$`),
			"machine_uid":    form(machineUID, `^muid_[0-9a-f]{64}$`),
			"hostname":       siteHostname,
			"labels": map[string]any{
				"company": l.Company, "site": l.Site, "department": l.Department, "device_type": l.DeviceType, "tags": tags,
			},
		},
	}}
}

// as gives an interaction its name and the state that it needs.
func (i interaction) as(name, given string, params map[string]any) interaction {
	i.name, i.given = name, state{given, params}
	return i
}

// answered completes an interaction.
func (i interaction) answered(r response, check func(*testing.T, agent)) interaction {
	i.response, i.check = r, check
	return i
}

// enrolls checks what Enroll makes of the answer.
func enrolls[T any](code string, l ports.Labels, check func(*testing.T, ports.Answer[ports.SiteOutcome], T)) func(*testing.T, agent) {
	return asks(func(ctx context.Context, a agent) ports.Answer[ports.SiteOutcome] {
		return a.site.Enroll(ctx, ports.SiteRequest{
			SiteCode: code, EnrollmentKey: ports.NewSecret(enrollmentKey), MachineUID: machineUID, Hostname: siteHostname, Labels: l,
		})
	}, check)
}

func siteInteractions() []interaction {
	params := func(code string) map[string]any {
		return map[string]any{"site_code": code, "machine_uid": machineUID, "hostname": siteHostname}
	}
	withKey := map[string]any{"key": form(apiKey, apiKeyForm)}
	enrolledNew := func(t *testing.T, _ ports.Answer[ports.SiteOutcome], o ports.SiteEnrolledNew) {
		isSecret(t, o.Key, apiKey)
	}
	refusal := func(status int, code string) response {
		return answers(status, map[string]any{"error": matchers.Like("the server's words"), "code": code})
	}
	list := []interaction{
		enrolling(siteCode, labels).
			as("site enrollment: a new machine", "the site does not know the machine", params(siteCode)).
			answered(answers(201, withKey), enrolls(siteCode, labels, enrolledNew)),
		enrolling(siteCode, ports.Labels{}).
			as("site enrollment: a new machine without labels", "the site does not know the machine", params(siteCode)).
			answered(answers(201, withKey), enrolls(siteCode, ports.Labels{}, enrolledNew)),
		enrolling(siteCode, labels).
			as("site enrollment: a known machine", "the site knows the machine", params(siteCode)).
			answered(answers(200, withKey), enrolls(siteCode, labels, func(t *testing.T, _ ports.Answer[ports.SiteOutcome], o ports.SiteEnrolledAgain) {
				isSecret(t, o.Key, apiKey)
			})),
		enrolling(siteCode, labels).
			as("site enrollment: a collision", "another machine of the same machine_uid is active", params(siteCode)).
			answered(answers(202, map[string]any{"state": "collision_pending"}),
				enrolls(siteCode, labels, func(*testing.T, ports.Answer[ports.SiteOutcome], ports.SiteCollisionPending) {})),
		enrolling(siteCode, labels).
			as("site enrollment: a rotated key", "the site's enrollment key was rotated", params(siteCode)).
			answered(refusal(401, "ENROLL_REJECTED"), enrolls(siteCode, labels, func(t *testing.T, _ ports.Answer[ports.SiteOutcome], o ports.SiteRejected) {
				is(t, o.Detail, "ENROLL_REJECTED: the server's words")
			})),
		enrolling(noSiteCode, labels).
			as("site enrollment: an unknown site", "there is no such site", params(noSiteCode)).
			answered(refusal(401, "ENROLL_REJECTED"), enrolls(noSiteCode, labels, func(t *testing.T, _ ports.Answer[ports.SiteOutcome], o ports.SiteRejected) {
				is(t, o.Detail, "ENROLL_REJECTED: the server's words")
			})),
		enrolling(siteCode, labels).
			as("site enrollment: a machine of another site", "the machine belongs to another site",
				map[string]any{"site_code": siteCode, "other_site_code": otherSiteCode, "machine_uid": machineUID, "hostname": siteHostname}).
			answered(refusal(409, "ENROLL_SITE_CONFLICT"), enrolls(siteCode, labels, func(t *testing.T, _ ports.Answer[ports.SiteOutcome], o ports.SiteConflict) {
				is(t, o.Detail, "ENROLL_SITE_CONFLICT: the server's words")
			})),
	}

	// What follows is the same request, whatever the server's mood.
	usual := enrolling(siteCode, labels)
	usual.request.body["enrollment_key"] = form(enrollmentKey, `^cek_.+$`)
	add := func(name string, r response, check func(*testing.T, agent)) {
		list = append(list, fault(usual, "site enrollment: "+name, r, check))
	}
	transient := func(reason, retryAfter string) func(*testing.T, agent) {
		return enrolls(siteCode, labels, func(t *testing.T, a ports.Answer[ports.SiteOutcome], o ports.SiteTransient) {
			contains(t, o.Reason, reason)
			is(t, a.RetryAfter, retryAfter)
		})
	}
	unexpected := func(status int, detail string) func(*testing.T, agent) {
		return enrolls(siteCode, labels, func(t *testing.T, _ ports.Answer[ports.SiteOutcome], o ports.SiteUnexpected) {
			is(t, o, ports.SiteUnexpected{Status: status, Detail: detail})
		})
	}
	add("too many", tooMany(), enrolls(siteCode, labels, func(t *testing.T, a ports.Answer[ports.SiteOutcome], _ ports.SiteRateLimited) {
		is(t, a.RetryAfter, "2")
	}))
	add("an error of the server", response{status: 500}, transient("500", ""))
	add("the server is unavailable", unavailable(), transient("503", "2"))
	add("200 that is not JSON", page(200), transient("is not a JSON object", ""))
	add("201 without a key", answers(201, map[string]any{"state": "enrolled"}), transient("holds no usable key", ""))
	add("200 with a key that is too short", answers(200, map[string]any{"key": "cak_short"}), transient("holds no usable key", ""))
	for _, status := range []int{400, 403, 404} {
		add(statusName(status), answers(status, map[string]any{"error": "not like this"}), unexpected(status, "not like this"))
	}
	add("a redirect", redirect(), unexpected(302, "a redirect to https://other.example.org, which is not followed"))
	return list
}

// isSecret compares a secret that is expected.
func isSecret(t *testing.T, got ports.Secret, want string) {
	t.Helper()
	if !got.Equal(ports.NewSecret(want)) {
		t.Error("the adapter returns another secret than was sent")
	}
}

func is[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("the adapter returns %#v, want %#v", got, want)
	}
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("the adapter says %q, which does not contain %q", text, part)
	}
}
