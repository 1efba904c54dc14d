package retry

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/ports"
)

// A target is 16 hex digits that stand in the retry record for what an attempt
// is made at and with, so that a changed configuration starts from nothing.

// SiteTarget stands for a site enrollment: its server, site and key.
func SiteTarget(s ports.Settings) string {
	return digest(credential.CanonicalURL(s.Server()), s.SiteCode, s.EnrollmentKey.Reveal())
}

// IssuerTarget stands for the issuer that is configured.
func IssuerTarget(s ports.Settings) string {
	return digest(credential.CanonicalManagerURL(s.IssuerURL().String()))
}

// RelayTarget stands for the relay and the key.
func RelayTarget(s ports.Settings, key ports.Secret) string {
	relay := ""
	if s.RelayURL != nil {
		relay = s.RelayURL.String()
	}
	return digest(s.Server(), relay, key.Fingerprint())
}

// CertificateTarget stands for a certificate, whose renewals are counted apart
// from another's; empty for none.
func CertificateTarget(leaf *x509.Certificate) string {
	if leaf == nil {
		return ""
	}
	return digest(string(leaf.Raw))
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
