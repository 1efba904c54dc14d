package fakeserver_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

func TestManagerApprovesAndForgetsTheBundle(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{CertLifetime: 90 * time.Second})
	registered := c.register(nil)
	answers(t, registered, 202, "register-202")
	token := registered.member("polling_token")

	r := c.poll(token)
	answers(t, r, 200, "poll-approved")
	certificate := check(t, r, "web-3.example.org", "web-3", "10.20.0.7")
	is.Equal(certificate.NotAfter.Sub(certificate.NotBefore), 90*time.Second)
	_, err := tls.X509KeyPair([]byte(r.member("server_crt")), []byte(r.member("server_key")))
	is.NoErr(err) // the key is the certificate's

	answers(t, c.poll(token), 200, "poll-notfound") // it is retrieved once
	answers(t, c.poll("never-seen"), 200, "poll-notfound")
	is.Equal(c.s.State().Enrollments[0].State, fakeserver.EnrollmentEnrolled)
	is.True(string(c.s.ManagerCACertPEM()) != string(c.s.CACertPEM())) // two CAs
}

func TestManagerCertifiesACSR(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{ChainInServerCert: true})
	key := ecKey(t)
	r := c.poll(c.register(set("csr_pem", csr(t, key))).member("polling_token"))
	is.Equal(r.member("server_key"), "")
	is.True(key.PublicKey.Equal(check(t, r, "web-3").PublicKey)) // the CSR's key
	is.Equal(strings.Count(r.member("server_crt"), "BEGIN CERTIFICATE"), 2)
}

func TestManagerThatIgnoresCSRs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{IgnoreCSR: true})
	key := ecKey(t)
	r := c.poll(c.register(set("csr_pem", csr(t, key))).member("polling_token"))
	_, err := tls.X509KeyPair([]byte(r.member("server_crt")), []byte(r.member("server_key")))
	is.NoErr(err)
	is.True(!key.PublicKey.Equal(leaf(t, r.member("server_crt")).PublicKey)) // not the CSR's key
}

// TestStrictBodies has every mistake of form; here are the values that a
// registration refuses.
func TestRegistrationIsStrict(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{})
	good := csr(t, ecKey(t))
	block, _ := pem.Decode([]byte(good))
	block.Bytes[len(block.Bytes)-1] ^= 1
	badSignature := string(pem.EncodeToMemory(block))
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	is.New(t).NoErr(err)
	for name, body := range map[string]string{
		"machine_id a UUID":   registerBody(set("machine_id", idempotencyKey)),
		"upper-case id":       registerBody(set("machine_id", strings.Repeat("0F", 16))),
		"empty fqdn":          registerBody(set("fqdn", "")),
		"fqdn with a space":   registerBody(set("fqdn", "web 3")),
		"no address":          registerBody(set("ip_address", "")),
		"address with zone":   registerBody(set("ip_address", "fe80::1%eth0")),
		"unspecified address": registerBody(set("ip_address", "0.0.0.0")),
		"empty csr":           registerBody(set("csr_pem", "")),
		"two csrs":            registerBody(set("csr_pem", good+good)),
		"csr garbled":         registerBody(set("csr_pem", badSignature)),
		"small RSA key":       registerBody(set("csr_pem", csr(t, small))),
	} {
		t.Run(name, func(t *testing.T) {
			answers(t, c.do("POST", "/api/v1/enroll", body), 400, "refused")
		})
	}
	is.New(t).Equal(c.register(set("ip_address", "2001:db8::7")).status, 202)
}

func TestManualApproval(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{Approval: fakeserver.Approval{Manual: true}})
	token := c.register(nil).member("polling_token")
	for range 3 {
		answers(t, c.poll(token), 200, "poll-pending")
	}
	is.True(strings.Contains(c.do("GET", "/api/v1/admin/enrollments", "").body, `"id":"e1"`))
	is.Equal(c.do("POST", "/api/v1/admin/enrollments/e9/approve", "").status, 404)
	is.Equal(c.do("POST", "/api/v1/admin/enrollments/e1/approve", "").status, 204)
	is.Equal(c.poll(token).member("status"), "approved")
	is.Equal(c.do("DELETE", "/api/v1/admin/enrollments/e1/deny", "").status, 409) // too late
	is.Equal(c.s.State().Enrollments[0].Polls, 4)
}

func TestDenial(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{Approval: fakeserver.Approval{Manual: true}})
	token := c.register(nil).member("polling_token")
	is.Equal(c.do("POST", "/_fake/enrollments/e1/deny", "").status, 204)
	for range 2 {
		answers(t, c.poll(token), 200, "poll-denied")
	}
	is.Equal(c.do("POST", "/_fake/enrollments/e1/approve", "").status, 409)
	next := c.register(nil)
	is.Equal(next.status, 202)
	is.Equal(c.do("DELETE", "/api/v1/admin/enrollments/e2/deny", "").status, 204)
	is.Equal(c.poll(next.member("polling_token")).member("status"), "denied")
}

func TestApprovalAfterPolls(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{Approval: fakeserver.Approval{After: 2}})
	token := c.register(nil).member("polling_token")
	is.Equal(c.poll(token).member("status"), "pending")
	is.Equal(c.poll(token).member("status"), "pending")
	is.Equal(c.poll(token).member("status"), "approved")
}

func TestApprovalText(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, text := range []string{"auto", "manual", "after=3"} {
		var a fakeserver.Approval
		is.NoErr(a.UnmarshalText([]byte(text)))
		back, err := a.MarshalText()
		is.NoErr(err)
		is.Equal(string(back), text)
	}
	for _, text := range []string{"", "never", "after=", "after=0", "after=-1", "3"} {
		is.True(new(fakeserver.Approval).UnmarshalText([]byte(text)) != nil)
	}
}

func TestKnownHost(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{})
	token := c.register(nil).member("polling_token")
	answers(t, c.register(nil), 409, "refused")
	is.Equal(c.register(set("machine_id", strings.Repeat("ee", 16))).status, 409) // the same name
	c.poll(token)
	is.Equal(c.register(nil).status, 409)

	is.NoErr(c.s.Approve("e1")) // again
	second := c.register(nil)
	is.Equal(second.status, 202)
	is.Equal(c.poll(second.member("polling_token")).member("status"), "approved")
	is.Equal(c.poll(token).member("status"), "notfound")
	is.Equal(c.register(nil).status, 409)

	is.Equal(c.do("POST", "/_fake/enrollments/e2/remove", "").status, 204)
	is.Equal(c.register(nil).status, 202)

	lax := start(t, &fakeserver.Server{AllowReRegister: true})
	is.Equal(lax.register(nil).status, 202)
	is.Equal(lax.register(nil).status, 202)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{RegisterInterval: time.Hour})
	key := ecKey(t)
	c.fault(`{"match":{"path":"/api/v1/enroll"},"times":1,"action":{"drop":"after_commit"}}`)
	_, err := c.try("POST", "/api/v1/enroll", registerBody(set("csr_pem", csr(t, key))), "Idempotency-Key", idempotencyKey)
	is.True(err != nil) // the answer was lost

	first := c.register(set("csr_pem", csr(t, key)), "Idempotency-Key", idempotencyKey)
	is.Equal(first.status, 202)
	second := c.register(set("csr_pem", csr(t, key)), "Idempotency-Key", idempotencyKey)
	is.Equal(second.body, first.body)
	is.Equal(len(c.s.State().Enrollments), 1)

	is.Equal(c.register(set("csr_pem", csr(t, ecKey(t))), "Idempotency-Key", idempotencyKey).status, 422) // another key
	is.Equal(c.register(nil, "Idempotency-Key", idempotencyKey).status, 422)                              // none
	answers(t, c.poll(first.member("polling_token")), 200, "poll-approved-csr")
}

func TestRegisterInterval(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	now := newClock(time.Now())
	c := start(t, &fakeserver.Server{RegisterInterval: time.Minute, Now: now.now})
	other := func(m map[string]any) { m["machine_id"], m["fqdn"] = strings.Repeat("ee", 16), "web-4" }
	is.Equal(c.register(nil).status, 202)
	now.advance(30 * time.Second)
	r := c.register(other)
	answers(t, r, 429, "refused")
	is.Equal(r.header.Get("Retry-After"), "30")
	now.advance(30 * time.Second)
	is.Equal(c.register(other).status, 202)
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	now := newClock(time.Now())
	c := start(t, &fakeserver.Server{CertAge: 50 * time.Minute, Now: now.now})
	h, r := host(t, c)
	const path = "/api/v1/enroll/renew"
	age := func(r reply) time.Duration {
		return now.now().Truncate(time.Second).Sub(leaf(t, r.member("server_crt")).NotBefore)
	}
	is.Equal(age(r), 50*time.Minute)

	fresh := ecKey(t)
	r = h.do("POST", path, renewBody(t, fresh))
	answers(t, r, 200, "renew-200")
	is.Equal(age(r), time.Duration(0)) // only an approval's certificate has an age
	is.True(fresh.PublicKey.Equal(check(t, r, "web-3", "10.20.0.7").PublicKey))
	is.Equal(h.do("POST", path, renewBody(t, fresh)).status, 400) // no fresh key any more
	check(t, h.do("POST", path, renewBody(t, ecKey(t), "new-name")), "new-name")

	answers(t, c.do("POST", path, renewBody(t, ecKey(t))), 401, "refused") // no client certificate
	is.Equal(len(c.s.State().Enrollments[0].Certificates), 3)
}

func TestRenewalSwitchedOff(t *testing.T) {
	t.Parallel()
	c := start(t, &fakeserver.Server{NoRenew: true})
	h, _ := host(t, c)
	is.New(t).Equal(h.do("POST", "/api/v1/enroll/renew", renewBody(t, ecKey(t))).status, 404)
}

func TestForeignClientCertificate(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c, other := start(t, &fakeserver.Server{}), start(t, &fakeserver.Server{})
	h, _ := host(t, other)
	stranger := &client{t, c.s, trusting(t, c.s, h.http.Transport.(*http.Transport).TLSClientConfig.Certificates...)}
	// The CAs have the same name, so that the certificate is sent.
	_, err := stranger.try("GET", "/api/v1/pki/crl.pem", "")
	is.True(err != nil) // the handshake fails
}

func TestRevocationList(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	c := start(t, &fakeserver.Server{CRLLifetime: time.Minute})
	h, bundle := host(t, c)
	intermediate := leaf(t, bundle.member("ca_chain"))
	serial := leaf(t, bundle.member("server_crt")).SerialNumber
	list := func(text string) *x509.RevocationList {
		t.Helper()
		is.True(regexp.MustCompile(`^-----BEGIN X509 CRL-----\n[A-Za-z0-9+/=\n]+-----END X509 CRL-----\n$`).MatchString(text))
		block, _ := pem.Decode([]byte(text))
		l, err := x509.ParseRevocationList(block.Bytes)
		is.NoErr(err)
		is.NoErr(l.CheckSignatureFrom(intermediate))
		is.Equal(l.NextUpdate.Sub(l.ThisUpdate), time.Minute)
		return l
	}
	revoked := func(l *x509.RevocationList) bool {
		return slices.ContainsFunc(l.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(serial) == 0 })
	}
	first := list(bundle.member("crl_pem"))
	is.True(!revoked(first))

	is.Equal(c.do("POST", "/_fake/enrollments/e1/revoke", "").status, 204)
	second := list(c.do("GET", "/api/v1/pki/crl.pem", "").body)
	is.True(revoked(second))
	is.True(second.Number.Cmp(first.Number) > 0)
	is.Equal(h.do("POST", "/api/v1/enroll/renew", renewBody(t, ecKey(t))).status, 403)
	is.True(c.s.State().Enrollments[0].Certificates[0].Revoked)
}
