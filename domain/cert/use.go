package cert

import (
	"crypto/x509"
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
