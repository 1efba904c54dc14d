package cert_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// Files made by OpenSSL and by step, each judged on 1 March 2026.
func TestStatusOfRealFiles(t *testing.T) {
	t.Parallel()
	const o, s = "openssl", "step"
	for _, c := range []struct {
		what                    string
		folder, ca, server, key string
		want                    ports.CertificateStatus
		says                    string // part of the detail
	}{
		{"EC, SEC 1", o, "root", "ec", "ec", ports.CertValid, "valid until 2027-01-01T00:00:00Z; due for renewal on 2026-0"},
		{"EC, PKCS#8", o, "root", "ec", "ec-pkcs8", ports.CertValid, ""},
		{"RSA 2048, PKCS#1", o, "root", "rsa", "rsa", ports.CertValid, ""},
		{"RSA 2048, PKCS#8", o, "root", "rsa", "rsa-pkcs8", ports.CertValid, ""},
		{"Ed25519, PKCS#8", o, "root", "ed25519", "ed25519", ports.CertValid, ""},
		{"step: EC", s, "root", "ec", "ec", ports.CertValid, ""},
		{"step: RSA", s, "root", "rsa", "rsa", ports.CertValid, ""},
		{"step: Ed25519", s, "root", "ed25519", "ed25519", ports.CertValid, ""},
		{"a chain in one file", o, "root", "chain", "below", ports.CertValid, ""},
		{"a chain in the wrong order", o, "root", "chain-reversed", "below", ports.CertValid, ""},
		{"the intermediate as the CA", o, "intermediate", "below", "below", ports.CertValid, ""},
		{"two CAs in one file", o, "two-roots", "ec", "ec", ports.CertValid, ""},
		{"an old and a renewed CA with one key", o, "renewed-ca", "below-expired-ca", "below-expired-ca", ports.CertValid, ""},
		{"a self-signed CA as its own leaf", o, "self-signed-ca", "self-signed-ca", "self-signed-ca", ports.CertValid, ""},
		{"CRLF", o, "root", "crlf", "crlf", ports.CertValid, ""},
		{"text before the PEM", o, "root", "text-before", "ec", ports.CertValid, ""},
		{"trailing garbage", o, "root", "trailing-garbage", "ec", ports.CertValid, ""},
		{"a byte order mark", o, "root", "byte-order-mark", "ec", ports.CertValid, ""},

		{"nothing at all", o, "none", "none", "none", ports.CertMissing, "testdata/openssl/none.pem is missing; testdata/openssl/none.pem is missing; testdata/openssl/none.key is missing. Put"},
		{"no CA", o, "none", "ec", "ec", ports.CertMissing, "testdata/openssl/none.pem is missing. Put"},
		{"no server certificate", o, "root", "none", "ec", ports.CertMissing, "testdata/openssl/none.pem is missing. Put"},
		{"no key", o, "root", "ec", "none", ports.CertMissing, "testdata/openssl/none.key is missing. Put"},

		{"an empty file", o, "root", "empty", "ec", ports.CertCorrupt, "empty.pem is empty"},
		{"an empty CA", o, "empty", "ec", "ec", ports.CertCorrupt, "empty.pem is empty"},
		{"a truncated PEM", o, "root", "truncated", "ec", ports.CertCorrupt, "truncated.pem is cut short or damaged: 0 of its 1 certificates can be read"},
		{"a chain truncated in its second certificate", o, "root", "chain-truncated", "below", ports.CertCorrupt, "1 of its 2"},
		{"a truncated key", o, "root", "ec", "truncated", ports.CertCorrupt, "truncated.key is cut short or damaged"},
		{"a damaged certificate", o, "root", "garbled", "ec", ports.CertCorrupt, "certificate 1 of 1 cannot be decoded"},
		{"an encrypted key, PKCS#8", o, "root", "ec", "encrypted-pkcs8", ports.CertCorrupt, "is encrypted"},
		{"an encrypted key, SEC 1", o, "root", "ec", "encrypted-sec1", ports.CertCorrupt, "is encrypted"},
		{"a key that cannot sign", o, "root", "ec", "x25519", ports.CertCorrupt, "of a kind that cannot sign"},
		{"a curve that TLS 1.3 does not have", o, "root", "ec", "p224", ports.CertCorrupt, "P-224"},
		{"a key that is too short", o, "root", "ec", "rsa-768", ports.CertCorrupt, "768 bits"},

		{"not yet valid", o, "root", "future", "future", ports.CertNotYetValid, "future.pem is not valid before 2030-01-01T00:00:00Z. Check this machine's clock"},
		{"expired leaf", o, "root", "expired", "expired", ports.CertExpired, `"CN=web-3.example.org" in testdata/openssl/expired.pem expired on 2025-01-01T00:00:00Z`},
		{"step: expired leaf", s, "root", "expired", "expired", ports.CertExpired, "expired on 2026-02-01T00:00:00Z"},
		{"expired intermediate", o, "root", "below-expired-intermediate", "below-expired-intermediate", ports.CertExpired, `"CN=Expired intermediate,O=Muster Tests" in testdata/openssl/below-expired-intermediate.pem expired on 2026-02-01`},
		{"expired CA", o, "expired-ca", "below-expired-ca", "below-expired-ca", ports.CertExpired, `"CN=Expired,O=Muster Tests" in testdata/openssl/expired-ca.pem expired on 2026-02-01`},

		{"the key of another certificate", o, "root", "ec", "below", ports.CertKeyMismatch, "below.key is not that of"},
		{"another key than the leaf's, which is last", o, "root", "chain-reversed", "ec", ports.CertKeyMismatch, `ec.key is not that of "CN=web-3.example.org"`},
		{"a key of another kind", o, "root", "ec", "rsa", ports.CertKeyMismatch, "rsa.key is not that of"},
		{"the two files swapped", o, "ec", "root", "ec", ports.CertKeyMismatch, ""},
		{"step: the key of another certificate", s, "root", "ec", "expired", ports.CertKeyMismatch, ""},

		{"another CA", o, "self-signed-ca", "ec", "ec", ports.CertUntrusted, `was issued by "CN=Root,O=Muster Tests", which is neither in testdata/openssl/self-signed-ca.pem nor among the intermediates`},
		{"same issuer name, another key", o, "impostor", "ec", "ec", ports.CertUntrusted, `names "CN=Root,O=Muster Tests" in testdata/openssl/impostor.pem as its issuer, but was signed by another key`},
		{"the same above an intermediate", o, "impostor", "chain", "below", ports.CertUntrusted, `"CN=Intermediate,O=Muster Tests" in testdata/openssl/chain.pem names "CN=Root`},
		{"step: same issuer name, another key", s, "impostor", "ec", "ec", ports.CertUntrusted, "signed by another key"},
		{"no intermediate", o, "root", "below", "below", ports.CertUntrusted, `"CN=Intermediate,O=Muster Tests", which is neither`},
		{"a CA without the CA flag", o, "no-flag", "no-flag-leaf", "no-flag-leaf", ports.CertUntrusted, "without being a CA (no CA flag)"},
		{"a CA without basic constraints", o, "no-extension", "no-extension-leaf", "no-extension-leaf", ports.CertUntrusted, "no CA flag"},
		{"a version 1 CA", o, "version-1", "version-1-leaf", "version-1-leaf", ports.CertUntrusted, "no CA flag"},
		{"a CA that may not sign certificates", o, "no-cert-sign", "no-cert-sign-leaf", "no-cert-sign-leaf", ports.CertUntrusted, "may not sign certificates (key usage)"},
		{"an intermediate without the CA flag", o, "root", "below-not-a-ca", "below-not-a-ca", ports.CertUntrusted, "no CA flag"},
		{"too long a path", o, "root", "too-deep", "too-deep", ports.CertUntrusted, "allows 0 intermediates below it, and there are 1 (path length)"},
		{"a name the CA may not certify", o, "root", "names", "names", ports.CertUntrusted, "a name that its CA may not certify"},
		{"a CA for clients only", o, "root", "below-client-ca", "below-client-ca", ports.CertUntrusted, "does not allow a TLS server"},
		{"a client's certificate", o, "root", "client", "client", ports.CertUntrusted, "does not allow a TLS server"},
		{"self-signed and not a CA", o, "self-signed", "self-signed", "self-signed", ports.CertUntrusted, "signed itself and is no CA certificate"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			j := cert.Judge(set(t, c.folder, c.ca, c.server, c.key), march, cert.Options{Threshold: 7 * 24 * time.Hour})
			if j.Status != c.want || !strings.Contains(j.Detail, c.says) {
				t.Errorf("is %s: %s\nwant %s, saying %q", j.Status, j.Detail, c.want, c.says)
			}
			if j.Servable() != (len(j.Problems) == 0) {
				t.Errorf("servable %v with the problems %v", j.Servable(), j.Problems)
			}
			if report := j.Report(); report.Status != j.Status || report.Detail != j.Detail || !report.NotAfter.Equal(j.NotAfter) || !report.RenewAt.Equal(j.RenewAt) {
				t.Errorf("the report %+v is not the judgement %+v", report, j)
			}
		})
	}
}

func TestFilesThatWereNotRead(t *testing.T) {
	t.Parallel()
	sound := set(t, "openssl", "root", "ec", "ec")
	for _, c := range []struct {
		err  ports.FileError
		want ports.CertificateStatus
		says string
	}{
		{ports.FileMissing{}, ports.CertMissing, " is missing"},
		{ports.FileDirectory{}, ports.CertCorrupt, " is a directory"},
		{ports.FileUnreadable{Reason: "permission denied"}, ports.CertCorrupt, " cannot be read (permission denied)"},
	} {
		for part := range 3 {
			f := sound
			path := [...]*string{&f.CA.Path, &f.Server.Path, &f.Key.Path}[part]
			*[...]*ports.FileError{&f.CA.Err, &f.Server.Err, &f.Key.Err}[part] = c.err
			j := cert.Judge(f, march, cert.Options{})
			if j.Status != c.want || !strings.HasPrefix(j.Detail, *path+c.says) || len(j.Problems) != 1 || j.Problems[0].Path != *path {
				t.Errorf("%s with %T: %s: %s", *path, c.err, j.Status, j.Detail)
			}
		}
	}
	directory := sound
	directory.Server = file(t, "openssl")
	is.New(t).Equal(cert.Judge(directory, march, cert.Options{}).Status, ports.CertCorrupt)
}

// One file's state never hides a worse one of another, and nothing that is
// wrong is left unsaid.
func TestTheWorstIsTheStatus(t *testing.T) {
	t.Parallel()
	crl := file(t, "openssl/crl.pem")
	for _, c := range []struct {
		what            string
		ca, server, key string
		want            []ports.CertificateStatus
	}{
		{"corrupt CA, missing key", "empty", "ec", "none", []ports.CertificateStatus{ports.CertMissing, ports.CertCorrupt}},
		{"missing CA, corrupt certificate, encrypted key", "none", "truncated", "encrypted-sec1", []ports.CertificateStatus{ports.CertMissing, ports.CertCorrupt, ports.CertCorrupt}},
		{"expired leaf, missing CA", "none", "expired", "expired", []ports.CertificateStatus{ports.CertMissing, ports.CertExpired}},
		{"expired leaf, corrupt key", "root", "expired", "truncated", []ports.CertificateStatus{ports.CertCorrupt, ports.CertExpired}},
		{"expired leaf, another's key", "root", "expired", "ec", []ports.CertificateStatus{ports.CertExpired, ports.CertKeyMismatch}},
		{"expired leaf of a stranger, another's key", "impostor", "expired", "ec", []ports.CertificateStatus{ports.CertExpired, ports.CertKeyMismatch, ports.CertUntrusted}},
		{"leaf that is not yet valid, another's key", "root", "future", "ec", []ports.CertificateStatus{ports.CertNotYetValid, ports.CertKeyMismatch}},
		{"leaf of a stranger, expired CA", "expired-ca", "ec", "ec", []ports.CertificateStatus{ports.CertExpired, ports.CertUntrusted}},
		{"leaf of a stranger, not yet valid, expired CA", "expired-ca", "future", "future", []ports.CertificateStatus{ports.CertNotYetValid, ports.CertExpired, ports.CertUntrusted}},
		{"missing certificate, expired CA", "expired-ca", "none", "ec", []ports.CertificateStatus{ports.CertMissing, ports.CertExpired}},
		{"revoked leaf, another's key", "root", "revoked", "ec", []ports.CertificateStatus{ports.CertKeyMismatch, ports.CertRevoked}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			f := set(t, "openssl", c.ca, c.server, c.key)
			f.CRL = crl
			j := cert.Judge(f, march, cert.Options{})
			var got []ports.CertificateStatus
			for _, p := range j.Problems {
				got = append(got, p.Status)
				if !strings.Contains(j.Detail, p.Text) || !strings.Contains(p.Text, p.Path) {
					t.Errorf("%q is not in the detail %q, or does not name %s", p.Text, j.Detail, p.Path)
				}
			}
			if j.Status != c.want[0] || !slices.Equal(got, c.want) {
				t.Errorf("is %s for %v, want %v\n%s", j.Status, got, c.want, j.Detail)
			}
		})
	}
}

func TestCAChainBringsIntermediates(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	f := set(t, "openssl", "root", "below", "below")
	is.Equal(cert.Judge(f, march, cert.Options{}).Status, ports.CertUntrusted)
	f.Chain = file(t, "openssl/empty.pem")
	is.Equal(cert.Judge(f, march, cert.Options{}).Status, ports.CertUntrusted)
	f.Chain = file(t, "openssl/chain-truncated.pem")
	is.Equal(cert.Judge(f, march, cert.Options{}).Status, ports.CertCorrupt)
	f.Chain = file(t, "openssl/intermediate.pem")
	j := cert.Judge(f, march, cert.Options{})
	is.Equal(j.Status, ports.CertValid)

	// What is installed of it is sound by itself, and in order.
	f.Chain, f.Server = ports.FoundFile{}, ports.FoundFile{Path: "server.pem", PEM: j.ServerPEM()}
	is.Equal(cert.Judge(f, march, cert.Options{}).Chain, j.Chain)
	first, _ := pem.Decode(f.Server.PEM)
	is.True(bytes.Equal(first.Bytes, j.Leaf.Raw)) // the leaf comes first

	// An anchor that comes as an intermediate is not trusted for that.
	f = set(t, "openssl", "impostor", "ec", "ec")
	f.Chain = file(t, "openssl/root.pem")
	is.Equal(cert.Judge(f, march, cert.Options{}).Status, ports.CertUntrusted)
}

func TestTheChainThatIsServed(t *testing.T) {
	t.Parallel()
	subjects := func(j cert.Judgement) (names []string) {
		for _, der := range j.Chain {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, c.Subject.CommonName)
		}
		return names
	}
	is := is.New(t)
	withIntermediate := []string{"web-3.example.org", "Intermediate"}
	is.Equal(subjects(cert.Judge(set(t, "openssl", "root", "chain-reversed", "below"), march, cert.Options{})), withIntermediate)
	is.Equal(subjects(cert.Judge(set(t, "openssl", "root", "ec", "ec"), march, cert.Options{})), []string{"web-3.example.org"})
	is.Equal(subjects(cert.Judge(set(t, "openssl", "intermediate", "below", "below"), march, cert.Options{})), withIntermediate)

	// ca.pem may hold the intermediate too, and the server's file the root:
	// clients that know only the root still need the first, never the second.
	f := set(t, "openssl", "root", "chain", "below")
	both := slices.Concat(f.CA.PEM, file(t, "openssl/intermediate.pem").PEM)
	f.Server.PEM = slices.Concat(f.CA.PEM, f.Server.PEM)
	f.CA.PEM = both
	is.Equal(subjects(cert.Judge(f, march, cert.Options{})), withIntermediate)
	f.Server = file(t, "openssl/below.pem")
	is.Equal(subjects(cert.Judge(f, march, cert.Options{})), withIntermediate)

	// An anchor in the middle does not cut off what leads to the root.
	deep := cert.Judge(set(t, "openssl", "root-and-lower", "deep", "deep"), march, cert.Options{})
	is.Equal(subjects(deep), []string{"web-3.example.org", "Lower", "Upper"})

	is.Equal(len(cert.Judge(set(t, "openssl", "impostor", "ec", "ec"), march, cert.Options{}).Chain), 0)
}

func TestWhatIsToldOfTheLeaf(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	j := cert.Judge(set(t, "openssl", "root", "ec", "ec"), march, cert.Options{})
	is.Equal(j.Subject, "CN=web-3.example.org")
	is.Equal(j.NotBefore, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	is.Equal(j.NotAfter, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	is.Equal(j.End, j.NotAfter)
	is.Equal(j.Serial, j.Leaf.SerialNumber.Text(16))

	// It begins to be due for renewal at RenewAt, to the nanosecond.
	f := set(t, "openssl", "root", "ec", "ec")
	is.Equal(cert.Judge(f, j.RenewAt.Add(-1), cert.Options{}).Status, ports.CertValid)
	due := cert.Judge(f, j.RenewAt, cert.Options{})
	is.Equal(due.Status, ports.CertExpiringSoon)
	is.True(due.Servable())
	is.True(strings.Contains(due.Detail, "due for renewal since 2026-"))
	is.Equal(cert.Judge(f, october, cert.Options{}).RenewAt, j.RenewAt)

	// The first and the last instant count.
	is.True(cert.Judge(f, j.NotBefore, cert.Options{}).Servable())
	is.Equal(cert.Judge(f, j.NotBefore.Add(-1), cert.Options{}).Status, ports.CertNotYetValid)
	is.True(cert.Judge(f, j.NotAfter, cert.Options{}).Servable())
	is.Equal(cert.Judge(f, j.NotAfter.Add(1), cert.Options{}).Status, ports.CertExpired)

	// A CA that ends before the leaf hastens the renewal.
	short := cert.Judge(set(t, "openssl", "ends-first-ca", "ends-first", "ends-first"), march, cert.Options{})
	is.Equal(short.Status, ports.CertValid)
	is.Equal(short.End, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	is.True(short.RenewAt.Before(time.Date(2026, 4, 12, 0, 0, 0, 0, time.UTC))) // two thirds of 151 days
	is.True(strings.Contains(short.Detail, "but a CA above it only until 2026-06-01"))
	is.Equal(short.Report().NotAfter, j.NotAfter)

	// Of an old and a renewed CA, both valid, the later end counts.
	renewed := cert.Judge(set(t, "openssl", "renewed-ca", "below-expired-ca", "below-expired-ca"), time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), cert.Options{})
	is.Equal(renewed.End, j.NotAfter)
}

// Of several certificates for one key the best counts, wherever it stands.
func TestSeveralLeavesForOneKey(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	f := set(t, "openssl", "root", "ec", "ec")
	old := file(t, "openssl/ec-expired.pem").PEM
	for _, text := range [][]byte{slices.Concat(f.Server.PEM, old), slices.Concat(old, f.Server.PEM), slices.Concat(f.Server.PEM, f.Server.PEM)} {
		f.Server.PEM = text
		j := cert.Judge(f, march, cert.Options{})
		is.Equal(j.Status, ports.CertValid)
		is.Equal(len(j.Chain), 1)
	}
}

func TestTwoClocks(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	f := set(t, "openssl", "root", "ec", "ec")
	before, after := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ours, other time.Time) ports.CertificateStatus {
		return cert.Judge(f, ours, cert.Options{OtherClock: other}).Status
	}
	is.Equal(at(march, time.Time{}), ports.CertValid)
	for _, wrong := range []time.Time{before, after} {
		is.Equal(at(march, wrong), ports.CertValid)
		is.Equal(at(wrong, march), ports.CertValid)
	}
	is.Equal(at(before, before.Add(time.Hour)), ports.CertNotYetValid)
	is.Equal(at(after, after.Add(-time.Hour)), ports.CertExpired)
	is.Equal(at(before, after), ports.CertValid) // neither by both
	// A clock that is fast does not renew in a loop.
	is.Equal(at(october, march), ports.CertValid)
	is.Equal(at(march, october), ports.CertValid)
	is.Equal(at(october, after), ports.CertExpiringSoon)
}

func TestAClockProblemIsNotAFault(t *testing.T) {
	t.Parallel()
	begins := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what       string
		key        string
		now, other time.Time
		clock      bool
	}{
		{"a minute", "ec", begins.Add(-time.Minute), time.Time{}, true},
		{"almost an hour", "ec", begins.Add(-time.Hour + 1), time.Time{}, true},
		{"an hour", "ec", begins.Add(-time.Hour), time.Time{}, false},
		{"an hour, less by the other clock", "ec", begins.Add(-2 * time.Hour), begins.Add(-time.Minute), true},
		{"another key", "rsa", begins.Add(-time.Minute), time.Time{}, false},
		{"no key", "none", begins.Add(-time.Minute), time.Time{}, false},
		{"nothing wrong", "ec", begins, time.Time{}, false},
	} {
		j := cert.Judge(set(t, "openssl", "root", "ec", c.key), c.now, cert.Options{OtherClock: c.other})
		if j.ClockProblem != c.clock || c.clock && !strings.Contains(j.Detail, "clock is probably slow") {
			t.Errorf("%s: clock problem %v: %s", c.what, j.ClockProblem, j.Detail)
		}
	}
}

// Words of a certificate reach a log: they must not break its lines.
func TestDetailIsOneCleanLine(t *testing.T) {
	t.Parallel()
	f := set(t, "openssl", "root", "ec", "ec")
	f.CA.Err = ports.FileUnreadable{Reason: "a\nb\x1b[31m" + strings.Repeat("é", 300)}
	j := cert.Judge(f, march, cert.Options{})
	if strings.ContainsAny(j.Detail, "\n\x1b") || len(j.Detail) > 600 {
		t.Errorf("%q", j.Detail)
	}
}

func BenchmarkJudge(b *testing.B) {
	f := set(b, "openssl", "root", "chain", "below")
	f.CRL = file(b, "openssl/crl-both.pem")
	for b.Loop() {
		if j := cert.Judge(f, march, cert.Options{}); j.Status != ports.CertValid {
			b.Fatal(j.Detail)
		}
	}
}

// A peer below the same intermediate need not send it.
func TestPeers(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	files := set(t, "openssl", "root", "chain", "below")
	block, _ := pem.Decode(file(t, "openssl/below.pem").PEM)
	peer, err := x509.ParseCertificate(block.Bytes)
	is.NoErr(err)
	options := x509.VerifyOptions{CurrentTime: march, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	options.Roots = cert.Peers(files, cert.Judge(files, march, cert.Options{}))
	_, err = peer.Verify(options)
	is.NoErr(err)
	options.Roots = cert.Roots(files)
	_, err = peer.Verify(options)
	is.True(err != nil) // the intermediate is what is missing
}
