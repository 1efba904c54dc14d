package cert

import (
	"crypto/x509"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Roots returns the CAs of ca.pem, by which a listener trusts its peers. The pool
// is empty if the file cannot be read.
func Roots(f Files) *x509.CertPool {
	pool := x509.NewCertPool()
	anchors, _ := certificates(f.CA)
	for _, a := range anchors {
		if isCA(a) {
			pool.AddCert(a.Certificate)
		}
	}
	return pool
}

// Revoked returns a function that tells whether the revocation list of f revokes
// a peer's certificate. A list counts only for certificates that its signer
// issued; one that cannot be read revokes nothing.
func Revoked(f Files) func(peer *x509.Certificate) bool {
	lists, err := revocationLists(f.CRL)
	if err != nil {
		lists = nil // JudgeCRL says why
	}
	anchors, _ := certificates(f.CA)
	signers := newVerifier(anchors, f.intermediates()).signers()
	sound := make([]*x509.RevocationList, 0, len(lists))
	for _, list := range lists {
		if signedByOne(list, signers) {
			sound = append(sound, list)
		}
	}
	return func(peer *x509.Certificate) bool {
		for _, list := range sound {
			if _, found := listed(list, located{Certificate: peer}); found {
				return true
			}
		}
		return false
	}
}

// Outlives reports whether a certificate goes on being used until its end
// although the files are not sound any more: damage to a file does not make it
// worse. A judgement against the certificate itself does.
func Outlives(status ports.CertificateStatus, end, now time.Time) bool {
	switch status {
	case ports.CertMissing, ports.CertCorrupt, ports.CertKeyMismatch:
		return now.Before(end)
	case ports.CertValid, ports.CertExpiringSoon, ports.CertNotYetValid, ports.CertExpired, ports.CertUntrusted, ports.CertRevoked, ports.CertNotConfigured:
		return false
	}
	return false
}

// UntilChange is how long it is until time makes something else of the
// certificate, at most most.
func (j Judgement) UntilChange(now time.Time, most time.Duration) time.Duration {
	for _, instant := range []time.Time{j.NotBefore, j.RenewAt, j.End, j.NotAfter} {
		if left := instant.Sub(now); left > 0 {
			most = min(most, left)
		}
	}
	return most
}

// Peers are the CAs that a peer's certificate may come from: those of ca.pem,
// and the intermediates through which this host's own leads to them, which a
// peer need not send. j must be servable: only then does it have a chain.
func Peers(f Files, j Judgement) *x509.CertPool {
	pool := Roots(f)
	for _, der := range j.Chain[1:] {
		if c, err := x509.ParseCertificate(der); err == nil { // it was verified a moment ago
			pool.AddCert(c)
		}
	}
	return pool
}
