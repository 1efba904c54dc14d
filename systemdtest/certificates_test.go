//go:build systemd

package systemdtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificateFiles are what an operator may place by hand, by name.
type certificateFiles map[string][]byte

// issuer is a CA that a test makes.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, key: newKey(t)}
	i.cert = i.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(9, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1, 2, 3, 4},
	}, i.key)
	return i
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign signs a certificate for a key, by the CA or, if there is none yet, by
// that key.
func (i *issuer) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	i.t.Helper()
	parent := i.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return cert
}

// issue makes the files of a machine whose certificate is valid between two
// times.
func (i *issuer) issue(notBefore, notAfter time.Time) certificateFiles {
	i.t.Helper()
	key := newKey(i.t)
	leaf := i.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: notBefore, NotAfter: notAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	return certificateFiles{
		"ca.pem": block("CERTIFICATE", i.cert.Raw), "server.pem": block("CERTIFICATE", leaf.Raw), "server.key.pem": block("PRIVATE KEY", der),
	}
}

// revoke makes the list that revokes the machine's certificate.
func (i *issuer) revoke() []byte {
	i.t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(2), RevocationTime: time.Now().Add(-time.Hour)}},
	}, i.cert, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return block("X509 CRL", der)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// with is the files with one of them changed.
func (f certificateFiles) with(name string, content []byte) certificateFiles {
	changed := maps.Clone(f)
	if changed[name] = content; content == nil {
		delete(changed, name)
	}
	return changed
}

// place puts the files where the agent looks for them, and no others.
func (s *service) place(files certificateFiles) {
	s.t.Helper()
	dir := filepath.Join(stateDir, "certs")
	if err := os.RemoveAll(dir); err != nil {
		s.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.must(0, "chown", "-R", "muster:muster", dir)
}

func TestNoCertificateEndsRun(t *testing.T) {
	if !booted(t) {
		return
	}
	srv := startServer(t)
	s := install(t).atSite(srv)
	s.env["MUSTER_LISTEN_ADDR"] = listenAddr
	s.configure().restartAtOnce()
	ca, now, year := newIssuer(t), time.Now(), 365*24*time.Hour
	good := ca.issue(now.Add(-time.Hour), now.Add(year))
	for want, files := range map[string]certificateFiles{
		"valid":         good,
		"expiring_soon": ca.issue(now.Add(-year), now.Add(24*time.Hour)),
		"expired":       ca.issue(now.Add(-year), now.Add(-time.Hour)),
		"not_yet_valid": ca.issue(now.Add(2*time.Hour), now.Add(year)),
		"missing":       good.with("server.key.pem", nil),
		"corrupt":       good.with("server.pem", good["server.pem"][:100]),
		"key_mismatch":  good.with("server.key.pem", ca.issue(now, now.Add(year))["server.key.pem"]),
		"untrusted":     good.with("ca.pem", newIssuer(t).issue(now, now.Add(year))["ca.pem"]),
		"revoked":       good.with("crl.pem", ca.revoke()),
	} {
		s.place(files)
		s.start()
		l := s.life()
		st := s.reaches(func(st status) bool { return st.Certificate.Status == want && st.Relay.State == "connected" })
		t.Logf("%s: %s", want, st.State)
		s.lives(l)
		s.stop()
	}
}
