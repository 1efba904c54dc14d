package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// errNotPinned: none of the presented certificates bears a pinned key.
var errNotPinned = errors.New("none of the certificates that the server presents bears a pinned key")

// trust says which servers are trusted.
type trust struct {
	roots             *x509.CertPool // nil: the system's
	pins              [][32]byte
	clientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	insecure          bool
}

func newTrust(o Options) (trust, error) {
	t := trust{pins: o.TrustSPKISHA256, clientCertificate: o.ClientCertificate, insecure: o.DevInsecureTLS}
	if t.insecure && !insecureAllowed {
		return trust{}, errors.New("this build always verifies the server's certificate: unset MUSTER_DEV_INSECURE_TLS")
	}
	if o.TrustCAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(o.TrustCAFile)
	if err != nil {
		return trust{}, fmt.Errorf("reading the roots named by %s: %w", o.Variables.caFile(), err)
	}
	t.roots = x509.NewCertPool()
	if !t.roots.AppendCertsFromPEM(pem) {
		return trust{}, fmt.Errorf("%s, named by %s, holds no certificate in PEM form", o.TrustCAFile, o.Variables.caFile())
	}
	return t, nil
}

// serverConfig is the TLS configuration for a server of that name.
//
// There is no session cache, so no session is ever resumed; were there one,
// VerifyConnection would judge a resumed connection too.
func (t trust) serverConfig(host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.roots, GetClientCertificate: t.clientCertificate}
	if len(t.pins) > 0 {
		c.InsecureSkipVerify = true // VerifyConnection verifies in its place
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			return t.verify(cs.PeerCertificates, host, time.Now())
		}
	}
	if t.insecure {
		skipVerification(c)
	}
	return c
}

// proxyConfig is the TLS configuration for a proxy that is itself reached over TLS.
// It is trusted by the roots; the pins are only for servers.
func (t trust) proxyConfig() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.roots}
	if t.insecure {
		skipVerification(c)
	}
	return c
}

// verify judges the presented chain by the pins and, where a CA file is
// configured, by its roots as well. host is a name or an IP address and never
// empty: x509 skips the check of an empty name, and a ConnectionState's
// ServerName is empty for an IP address.
func (t trust) verify(presented []*x509.Certificate, host string, now time.Time) error {
	if len(presented) == 0 || host == "" {
		return errors.New("the server presented no certificate")
	}
	anchors, err := t.anchors(presented)
	if err != nil {
		return err
	}
	if t.roots != nil {
		if err := verifyChain(presented, t.roots, host, now); err != nil {
			return err
		}
	}
	return verifyChain(presented, anchors, host, now)
}

// anchors returns the presented certificates that bear a pinned key. A self-issued
// one must verify its own signature: anybody can write a certificate around a
// known public key, and x509 does not check an anchor's signature. (It does check
// an anchor's dates.)
func (t trust) anchors(presented []*x509.Certificate) (*x509.CertPool, error) {
	pool, rejected := x509.NewCertPool(), errNotPinned
	found := false
	for _, cert := range presented {
		if !slices.Contains(t.pins, sha256.Sum256(cert.RawSubjectPublicKeyInfo)) {
			continue
		}
		if err := sound(cert); err != nil {
			rejected = err
			continue
		}
		pool.AddCert(cert)
		found = true
	}
	if !found {
		return nil, rejected
	}
	return pool, nil
}

func sound(cert *x509.Certificate) error {
	if !bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		return nil
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return fmt.Errorf("the pinned certificate is self-issued and its signature is not its own: %w", err)
	}
	return nil
}

func verifyChain(presented []*x509.Certificate, roots *x509.CertPool, host string, now time.Time) error {
	intermediates := x509.NewCertPool()
	for _, cert := range presented[1:] {
		intermediates.AddCert(cert)
	}
	_, err := presented[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, DNSName: host, CurrentTime: now,
	})
	return err
}
