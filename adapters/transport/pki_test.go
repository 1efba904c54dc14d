package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// identity is a certificate and its key.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (id identity) pin() [32]byte { return sha256.Sum256(id.cert.RawSubjectPublicKeyInfo) }

// issue makes a certificate by template, signed by parent; by itself if parent
// is the zero identity.
func issue(t *testing.T, name string, parent identity, change func(*x509.Certificate)) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, name, key, parent, change)
}

func certify(t *testing.T, name string, key *ecdsa.PrivateKey, parent identity, change func(*x509.Certificate)) identity {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	if parent.cert == nil {
		parent = identity{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, &key.PublicKey, parent.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return identity{cert, key}
}

func authority(c *x509.Certificate) {
	c.IsCA = true
	c.KeyUsage = x509.KeyUsageCertSign
}

func forLoopback(c *x509.Certificate) {
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	c.DNSNames = []string{"localhost"}
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

func both(a, b func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) { a(c); b(c) }
}

// forge spoils the signature.
func forge(t *testing.T, id identity) identity {
	t.Helper()
	der := bytes.Clone(id.cert.Raw)
	for i := len(der) - 1; ; i-- { // until the signature's encoding still parses
		der[i] ^= 1
		cert, err := x509.ParseCertificate(der)
		if err == nil && cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil {
			return identity{cert, id.key}
		}
		der[i] ^= 1
	}
}

// presenting is the chain that a server shows, its own certificate first.
func presenting(chain ...identity) tls.Certificate {
	out := tls.Certificate{PrivateKey: chain[0].key}
	for _, id := range chain {
		out.Certificate = append(out.Certificate, id.cert.Raw)
	}
	return out
}

func caFile(t *testing.T, roots ...identity) string {
	t.Helper()
	var out []byte
	for _, id := range roots {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.cert.Raw})...)
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
