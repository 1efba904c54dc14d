package fakeserver_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

// answers checks an answer against a golden one, in which a text that begins with
// ~ is a pattern.
func answers(t *testing.T, r reply, status int, name string) {
	t.Helper()
	is := is.New(t)
	is.Equal(r.status, status)
	is.Equal(r.header.Get("Content-Type"), "application/json")
	var got, want any
	is.NoErr(json.Unmarshal([]byte(r.body), &got))
	is.NoErr(json.Unmarshal([]byte(golden(t, "answers", name)), &want))
	if !fits(got, want) {
		t.Errorf("%s: got %s", name, r.body)
	}
}

func fits(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		for name := range want {
			there, has := got[name]
			ok = ok && has && fits(there, want[name])
		}
		return ok && len(got) == len(want)
	case []any:
		got, ok := got.([]any)
		return ok && slices.EqualFunc(got, want, fits)
	case string:
		got, ok := got.(string)
		if pattern, found := strings.CutPrefix(want, "~"); found {
			return ok && regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(got)
		}
		return ok && got == want
	default:
		return got == want
	}
}

func TestGoldenEnrollment(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{EnrollPerMinute: 4})
	request := golden(t, "requests", "enroll")
	enroll := func(old, replacement string) reply {
		return c.do("POST", "/api/enroll", strings.Replace(request, old, replacement, 1))
	}
	answers(t, enroll("", ""), 201, "enroll-201")
	answers(t, enroll("", ""), 200, "enroll-200")
	answers(t, enroll("desk-17", "desk-18"), 202, "enroll-202")
	answers(t, enroll("cek_", "cek_not_"), 401, "enroll-401")
	limited := enroll("", "")
	answers(t, limited, 429, "enroll-429")
	is.True(limited.header.Get("Retry-After") != "")
	branch, err := c.s.AddSite("ACME-BRANCH", "")
	is.NoErr(err)
	answers(t, c.enroll(func(m map[string]any) { m["site_code"], m["enrollment_key"] = branch.SiteCode, branch.EnrollmentKey }), 409, "enroll-409")
	answers(t, enroll("machine_uid", "machine_id"), 400, "refused")
}

func TestGoldenManager(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	now := newClock(time.Now())
	c := start(t, &fakeserver.Server{Approval: fakeserver.Approval{Manual: true}, RegisterInterval: time.Minute, Now: now.now})
	const path = "/api/v1/enroll"
	registered := c.do("POST", path, golden(t, "requests", "register"))
	answers(t, registered, 202, "register-202")
	answers(t, c.do("POST", path, golden(t, "requests", "register")), 429, "refused")
	now.advance(time.Minute)
	answers(t, c.do("POST", path, golden(t, "requests", "register")), 409, "refused")

	token := registered.member("polling_token")
	answers(t, c.poll(token), 200, "poll-pending")
	is.NoErr(c.s.Approve("e1"))
	answers(t, c.poll(token), 200, "poll-approved")
	answers(t, c.poll(token), 200, "poll-notfound") // a bundle is retrieved once
	answers(t, c.poll("never-given"), 200, "poll-notfound")

	is.NoErr(c.s.Remove("e1"))
	withCSR := c.do("POST", path, golden(t, "requests", "register-csr"))
	answers(t, withCSR, 202, "register-202")
	is.NoErr(c.s.Approve("e2"))
	answers(t, c.poll(withCSR.member("polling_token")), 200, "poll-approved-csr")

	now.advance(time.Minute)
	is.NoErr(c.s.Remove("e2"))
	denied := c.do("POST", path, golden(t, "requests", "register"))
	is.NoErr(c.s.Deny("e3"))
	answers(t, c.poll(denied.member("polling_token")), 200, "poll-denied")

	list := c.do("GET", "/api/v1/pki/crl.pem", "")
	is.Equal(list.status, 200)
	is.True(regexp.MustCompile(`^-----BEGIN X509 CRL-----\n[A-Za-z0-9+/=\n]+-----END X509 CRL-----\n$`).MatchString(list.body))
}

func TestGoldenRenewal(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	h, _ := host(t, c)
	answers(t, h.do("POST", "/api/v1/enroll/renew", golden(t, "requests", "renew")), 200, "renew-200")
	answers(t, c.do("POST", "/api/v1/enroll/renew", golden(t, "requests", "renew")), 401, "refused")
}

func TestGoldenRelay(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	refusal := func(key, name string) {
		t.Helper()
		_, r, err := c.dial(relayQuery(key, nil), nil)
		is.True(err != nil) // refused
		answers(t, r, 401, name)
	}
	refusal("cak_unknown", "relay-unknown-agent")
	key := c.do("POST", "/api/enroll", golden(t, "requests", "enroll")).member("key")
	refusal("cak_unknown", "refused") // no code: the key may be right elsewhere
	conn := c.connect(relayQuery(key, nil))
	write(t, conn, golden(t, "requests", "agent_status"))
	c.await(func() bool { x := c.session(uid1); return x != nil && x.Frames == 1 })
	is.NoErr(c.s.Revoke(uid1))
	refusal(key, "relay-credential-revoked")
}
