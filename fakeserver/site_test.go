package fakeserver_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

func TestEnrollMintsAFreshKeyEachTime(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})

	first := c.enroll(nil)
	answers(t, first, 201, "enroll-201")
	date, err := http.ParseTime(first.header.Get("Date"))
	is.NoErr(err)
	is.True(time.Since(date).Abs() < time.Minute)

	again := c.enroll(nil)
	answers(t, again, 200, "enroll-200")
	is.True(again.member("key") != first.member("key"))

	// The former key is void. No code is given: it is simply wrong.
	answers(t, c.refused(relayQuery(first.member("key"), nil), nil), 401, "refused")
	c.connect(relayQuery(again.member("key"), nil))

	m := c.machine(uid1)
	is.Equal(m.Enrollments, 2)
	is.True(regexp.MustCompile(`^v2 \([0-9A-F]{4}\)$`).MatchString(m.Fingerprint))
	is.Equal(len(c.s.State().Machines), 1)
}

// TestStrictBodies has every mistake of form; here are the reasons that are
// given, and the values that the enrollment refuses.
func TestEnrollSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	labels := func(change func(map[string]any)) func(map[string]any) {
		return func(m map[string]any) { change(m["labels"].(map[string]any)) }
	}
	whole := enrollBody(nil)
	for _, test := range []struct {
		name, body, reason string
	}{
		{"null", "null", "not a JSON object"},
		{"cut short", whole[:len(whole)-3], "not valid JSON"},
		{"something after it", whole + "{}", "something follows"},
		{"no UTF-8", strings.Replace(whole, "desk", "\xff", 1), "UTF-8"},
		{"duplicate label", strings.Replace(whole, `"company"`, `"company":"x","company"`, 1), `"company" stands there twice`},
		{"unknown label", enrollBody(labels(set("extra", ""))), `labels."extra" is not a known member`},
		{"no tags", enrollBody(labels(func(m map[string]any) { delete(m, "tags") })), "labels.tags is missing"},
		{"null tag", enrollBody(labels(set("tags", []any{nil}))), "labels.tags is not an array"},
		{"empty tag", enrollBody(labels(set("tags", []any{""}))), "empty tag"},
		{"number for company", enrollBody(labels(set("company", 7))), "labels.company is not a string"},
		{"empty site", enrollBody(set("site_code", "")), "site_code is empty"},
		{"key of another kind", enrollBody(set("enrollment_key", "cak_0123456789")), "enrollment_key is not cek_"},
		{"upper-case uid", enrollBody(set("machine_uid", strings.ToUpper(uid1))), "machine_uid is not"},
		{"short uid", enrollBody(set("machine_uid", uid1[:68])), "machine_uid is not"},
		{"uid and a line end", enrollBody(set("machine_uid", uid1+"\n")), "machine_uid is not"},
		{"empty hostname", enrollBody(set("hostname", "")), "hostname is empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := c.do("POST", "/api/enroll", test.body)
			answers(t, r, 400, "refused")
			is.New(t).True(strings.Contains(r.member("error"), test.reason)) // has the reason
		})
	}
	t.Run("space between tokens", func(t *testing.T) {
		is.New(t).Equal(c.do("POST", "/api/enroll", strings.NewReplacer(":", " : ", ",", " ,\n").Replace(whole)).status, 201)
	})
	t.Run("64 KiB", func(t *testing.T) {
		body := whole + strings.Repeat(" ", 64<<10-len(whole))
		is.New(t).Equal(c.do("POST", "/api/enroll", body, "Content-Type", "application/json; charset=utf-8").status, 200)
	})
	t.Run("other paths", func(t *testing.T) {
		is := is.New(t)
		is.Equal(c.do("POST", "/api/enroll/", whole).status, 404)
		is.Equal(c.do("POST", "//api/enroll", whole).status, 404)
	})
}

func TestEnrollRejections(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	is.Equal(c.enroll(nil).status, 201)

	answers(t, c.enroll(set("site_code", "NOWHERE")), 401, "enroll-401")
	answers(t, c.enroll(set("enrollment_key", testKey+"x")), 401, "enroll-401")

	branch, err := c.s.AddSite("ACME-BRANCH", "")
	is.NoErr(err)
	toBranch := func(m map[string]any) { m["site_code"], m["enrollment_key"] = branch.SiteCode, branch.EnrollmentKey }
	answers(t, c.enroll(toBranch), 409, "enroll-409")

	is.NoErr(c.s.Assign(uid1, branch.SiteCode))
	is.Equal(c.enroll(toBranch).status, 200)
	is.Equal(c.enroll(nil).status, 409)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	key := c.enroll(nil).member("key")

	r := c.do("POST", "/_fake/sites/"+testSite+"/rotate", "")
	is.Equal(r.status, 200)
	is.True(regexp.MustCompile(`^cek_[A-Za-z0-9_-]{43}$`).MatchString(r.member("enrollment_key")))
	is.True(strings.HasPrefix(r.member("fingerprint"), "v2 ("))
	is.Equal(c.s.State().Sites[0].Fingerprint, r.member("fingerprint"))

	is.Equal(c.enroll(nil).status, 401)
	c.connect(relayQuery(key, nil)) // the machine does not notice
	is.Equal(c.enroll(set("enrollment_key", r.member("enrollment_key"))).status, 200)
	is.Equal(c.do("POST", "/_fake/sites/NOWHERE/rotate", "").status, 404)
}

func TestCollision(t *testing.T) {
	t.Parallel()
	now := newClock(time.Now())
	c := start(t, &fakeserver.Server{Now: now.now})
	is := is.New(t)
	other := set("hostname", "desk-18")
	is.Equal(c.enroll(nil).status, 201)

	answers(t, c.enroll(other), 202, "enroll-202") // seen recently
	is.Equal(c.enroll(nil).status, 200)            // under its own name all is well, and the collision over
	is.Equal(c.machine(uid1).Collision, nil)

	now.advance(5 * time.Minute)
	is.Equal(c.enroll(other).status, 200) // long gone: a machine that was renamed
	key := c.enroll(other).member("key")

	query := relayQuery(key, nil)
	query.Set("hostname", "desk-18")
	conn := c.connect(query)
	now.advance(time.Hour)
	third := set("hostname", "desk-19")
	is.Equal(c.enroll(third).status, 202) // connected, however long ago it enrolled
	is.Equal(c.enroll(third).status, 202)
	is.Equal(c.machine(uid1).Collision.Hostname, "desk-19")
	is.Equal(c.machine(uid1).Collision.Attempts, 2)

	is.Equal(c.do("POST", "/_fake/machines/"+uid1+"/confirm", "").status, 204)
	is.Equal(c.enroll(set("hostname", "desk-20")).status, 202) // not the one that was confirmed
	is.Equal(c.enroll(third).status, 202)                      // whose confirmation is void now
	is.NoErr(c.s.Confirm(uid1))
	is.Equal(c.enroll(third).status, 200)
	is.Equal(c.machine(uid1).Hostname, "desk-19")
	is.Equal(c.machine(uid1).Collision, nil)
	is.True(c.s.Confirm(uid1) != nil) // nothing left to confirm

	is.NoErr(conn.CloseNow())
}

func TestEnrollRateLimit(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	now := newClock(time.Now())
	c := start(t, &fakeserver.Server{EnrollPerMinute: 2, Now: now.now})
	is.Equal(c.enroll(nil).status, 201)
	now.advance(20 * time.Second)
	is.Equal(c.enroll(nil).status, 200)
	r := c.enroll(nil)
	answers(t, r, 429, "enroll-429")
	is.Equal(r.header.Get("Retry-After"), "40")
	is.Equal(c.enroll(set("site_code", "OTHER")).status, 401) // counted by site
	now.advance(40 * time.Second)
	is.Equal(c.enroll(nil).status, 200)
}

func TestRevokeAndForget(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	key := c.enroll(nil).member("key")

	conn := c.connect(relayQuery(key, nil))
	is.Equal(c.do("POST", "/_fake/machines/"+uid1+"/revoke", "").status, 204)
	is.Equal(int(closeCode(t, conn)), 1008)
	answers(t, c.refused(relayQuery(key, nil), nil), 401, "relay-credential-revoked")

	fresh := c.enroll(nil)
	is.Equal(fresh.status, 200)
	conn = c.connect(relayQuery(fresh.member("key"), nil))

	is.Equal(c.do("POST", "/_fake/machines/"+uid1+"/forget", "").status, 204)
	is.Equal(int(closeCode(t, conn)), 1008)
	answers(t, c.refused(relayQuery(fresh.member("key"), nil), nil), 401, "relay-unknown-agent")
	is.Equal(c.do("POST", "/_fake/machines/"+uid1+"/forget", "").status, 404)
	is.Equal(c.enroll(nil).status, 201)
}

func TestAddSiteRefusesBadKeys(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var s fakeserver.Server
	for _, key := range []string{"cek_", "cek_sevench", "cek short with spaces", "cak_0123456789012345", testKey + "\n"} {
		_, err := s.AddSite("X", key)
		is.True(err != nil)                                           // refused
		is.True(key == "cek_" || !strings.Contains(err.Error(), key)) // the key is not shown
	}
	_, err := s.AddSite("X", "")
	is.NoErr(err)
	_, err = s.AddSite("X", "")
	is.True(err != nil) // twice
}
