package cert_test

import (
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

func TestRevoked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, server, key, crl string
		want                   ports.CertificateStatus
		says                   string
	}{
		{"the leaf", "revoked", "revoked", "crl.pem", ports.CertRevoked, `"CN=web-3.example.org" in testdata/openssl/revoked.pem`},
		{"the leaf, in DER", "revoked", "revoked", "crl.der", ports.CertRevoked, ""},
		{"the leaf, by its intermediate", "revoked-below", "revoked-below", "crl-intermediate.pem", ports.CertRevoked, ""},
		{"the leaf, by the second of two lists", "revoked-below", "revoked-below", "crl-both.pem", ports.CertRevoked, ""},
		{"the intermediate", "below-revoked", "below-revoked", "crl.pem", ports.CertRevoked, `"CN=Revoked intermediate,O=Muster Tests" in testdata/openssl/below-revoked.pem`},
		{"another one", "ec", "ec", "crl.pem", ports.CertValid, ""},
		{"nothing yet", "revoked", "revoked", "crl-before.pem", ports.CertValid, ""},
		{"the leaf, by an impostor", "revoked", "revoked", "crl-impostor.pem", ports.CertValid, ""},
		{"the leaf, by a list that is cut short", "revoked", "revoked", "crl-truncated.pem", ports.CertValid, ""},
		{"the leaf, by a list that is not there", "revoked", "revoked", "none", ports.CertValid, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			f := set(t, "openssl", "root", c.server, c.key)
			f.CRL = file(t, "openssl/"+c.crl)
			j := cert.Judge(f, march, cert.Options{})
			if j.Status != c.want || !strings.Contains(j.Detail, c.says) {
				t.Errorf("is %s: %s", j.Status, j.Detail)
			}
		})
	}
}

// A revoked intermediate stays revoked where ca.pem holds it as an anchor.
func TestAnAnchorDoesNotHideARevocation(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"below-revoked", "below-revoked-alone"} {
		f := set(t, "openssl", "root-and-revoked", server, "below-revoked")
		is.New(t).Equal(cert.Judge(f, march, cert.Options{}).Status, ports.CertValid)
		f.CRL = file(t, "openssl/crl.pem")
		is.New(t).Equal(cert.Judge(f, march, cert.Options{}).Status, ports.CertRevoked)
	}
}

func TestJudgeCRL(t *testing.T) {
	t.Parallel()
	issued, next := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what, ca, server, crl string
		wrong                 string // part of the error
	}{
		{"the root's", "root", "none", "crl.pem", ""},
		{"in DER", "root", "none", "crl.der", ""},
		{"an intermediate's", "root", "chain", "crl-intermediate.pem", ""},
		{"both", "root", "chain", "crl-both.pem", ""},
		{"an intermediate's, which is not known", "root", "ec", "crl-intermediate.pem", `"CN=Intermediate,O=Muster Tests" is signed by no CA of testdata/openssl/root.pem`},
		{"an intermediate's of another CA", "impostor", "chain", "crl-intermediate.pem", "is signed by no CA"},
		{"an impostor's", "root", "chain", "crl-impostor.pem", "is signed by no CA"},
		{"cut short", "root", "chain", "crl-truncated.pem", "is cut short"},
		{"empty", "root", "chain", "empty.pem", "is empty"},
		{"a certificate", "root", "chain", "root.pem", "no revocation list that can be decoded"},
		{"missing", "root", "chain", "none", "is missing"},
		{"without a CA", "none", "chain", "crl.pem", "cannot be checked: testdata/openssl/none.pem is missing"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			f := set(t, "openssl", c.ca, c.server, "none")
			f.CRL = file(t, "openssl/"+c.crl)
			j, err := cert.JudgeCRL(f, march, cert.Options{})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), f.CRL.Path) {
					t.Errorf("error %v, want one that says %q", err, c.wrong)
				}
				return
			}
			if err != nil || !j.ThisUpdate.Equal(issued) || !j.NextUpdate.Equal(next) || j.Expired {
				t.Errorf("%+v, %v", j, err)
			}
		})
	}

	is := is.New(t)
	f := set(t, "openssl", "root", "none", "none")
	f.CRL = file(t, "openssl/crl.pem")
	j, err := cert.JudgeCRL(f, next.Add(time.Second), cert.Options{})
	is.NoErr(err)
	is.True(j.Expired) // a second after its nextUpdate
	j, err = cert.JudgeCRL(f, next.Add(time.Second), cert.Options{OtherClock: march})
	is.NoErr(err)
	is.True(!j.Expired) // by one clock only
}
