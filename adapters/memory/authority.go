package memory

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"github.com/muster-agent/muster/ports"
)

// authority is a CA: a root, and an intermediate that issues.
type authority struct {
	root, intermediate *x509.Certificate
	key                *ecdsa.PrivateKey // the intermediate's
	serial             int64             // of the newest certificate
	lists              int64             // revocation lists so far
}

func newAuthority(now time.Time) (*authority, error) {
	rootKey, err := newKey()
	if err != nil {
		return nil, err
	}
	a := new(authority)
	if a.key, err = newKey(); err != nil {
		return nil, err
	}
	template := func(name string) *x509.Certificate {
		a.serial++
		return &x509.Certificate{
			SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
			NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(100, 0, 0),
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	root := template("memory root")
	if a.root, err = sign(root, root, rootKey.Public(), rootKey); err != nil {
		return nil, err
	}
	a.intermediate, err = sign(template("memory intermediate"), a.root, a.key.Public(), rootKey)
	return a, err
}

// issue makes a certificate for the names of a registration.
func (a *authority) issue(r ports.IssueRequest, public any, lifetime time.Duration) (*x509.Certificate, error) {
	a.serial++
	now := time.Now().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: r.Host.FQDN},
		NotBefore: now, NotAfter: now.Add(lifetime),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{r.Host.FQDN},
	}
	if ip := net.ParseIP(r.Host.IPAddress); ip != nil {
		template.IPAddresses = []net.IP{ip}
	}
	return sign(template, a.intermediate, public, a.key)
}

// list signs a revocation list. The intermediate does, since a list is for the
// certificates of its issuer (RFC 5280, section 5).
func (a *authority) list(revoked []x509.RevocationListEntry, lifetime time.Duration) ([]byte, error) {
	a.lists++
	now := time.Now()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(a.lists), ThisUpdate: now, NextUpdate: now.Add(lifetime), RevokedCertificateEntries: revoked,
	}, a.intermediate, a.key)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), err
}

func sign(template, parent *x509.Certificate, public any, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newKeyPEM() (*ecdsa.PrivateKey, []byte, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
