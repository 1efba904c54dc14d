package cert

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// chain is a verified chain: the leaf, intermediates, a trust anchor.
type chain []located

// end is the instant at which the chain ceases to be valid: the earliest end
// of its certificates.
func (c chain) end() time.Time {
	return slices.MinFunc(c, func(a, b located) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
}

// authority is what certificates are verified against.
type authority struct {
	anchors       []located // all certificates of the CA's file
	intermediates []located // those of the server's file and of ca_chain

	roots, others *x509.CertPool
	origin        map[*x509.Certificate]located // of the undated replicas in the pools
}

// newAuthority is stricter than crypto/x509 about anchors: one that has no CA
// flag, a version 1 certificate included, is none. Those that are not
// self-signed end a chain, and serve as intermediates of a longer one too.
func newAuthority(anchors, intermediates []located) *authority {
	a := &authority{
		anchors: anchors, intermediates: intermediates,
		roots: x509.NewCertPool(), others: x509.NewCertPool(), origin: map[*x509.Certificate]located{},
	}
	for _, anchor := range anchors {
		if isCA(anchor) {
			a.roots.AddCert(a.undated(anchor))
			a.others.AddCert(a.undated(anchor))
		}
	}
	for _, i := range intermediates {
		a.others.AddCert(a.undated(i))
	}
	return a
}

// dateless is the one instant at which undated replicas are valid, and at
// which verify asks.
var dateless = time.Unix(0, 0)

// undated is a replica of c whose dates do not matter. Signatures are checked
// over the DER, which it shares.
func (a *authority) undated(c located) *x509.Certificate {
	replica := *c.Certificate
	replica.NotBefore, replica.NotAfter = dateless, dateless
	a.origin[&replica] = c
	return &replica
}

// verify gives every chain of signatures from c to an anchor, as RFC 5280,
// section 6, has it: signature, CA flag, key usage, path length, name
// constraints, extended key usage all the way up, unknown critical extensions.
// What is left out:
//
//   - Dates. They are judged afterwards, with both clocks, so that an expired
//     certificate is told from one that nobody signed.
//   - The host's name. A changed hostname makes no certificate invalid.
func (a *authority) verify(c located, usage x509.ExtKeyUsage) ([]chain, error) {
	found, err := a.undated(c).Verify(x509.VerifyOptions{
		Roots: a.roots, Intermediates: a.others, CurrentTime: dateless, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, err
	}
	chains := make([]chain, len(found))
	for i, f := range found {
		for _, replica := range f {
			chains[i] = append(chains[i], a.origin[replica])
		}
	}
	return chains, nil
}

func isCA(c located) bool { return c.BasicConstraintsValid && c.IsCA }

func selfIssued(c located) bool { return string(c.RawSubject) == string(c.RawIssuer) }

// distrust says in a person's words why verify refused c with err. It follows
// the issuers' names upwards to the first thing that is wrong.
func (a *authority) distrust(c located, err error) string {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch invalid.Reason {
		case x509.IncompatibleUsage:
			return fmt.Sprintf("the extended key usage of %s in %s, or of a CA above it, does not allow a TLS server", name(c), c.path)
		case x509.CANotAuthorizedForThisName:
			return fmt.Sprintf("%s in %s bears a name that its CA may not certify (%s)", name(c), c.path, plain(invalid.Detail))
		}
	}
	if reason := a.brokenLink(c); reason != "" {
		return reason
	}
	return fmt.Sprintf("%s in %s: %s", name(c), c.path, plain(err.Error()))
}

// maxLinks bounds the walk of brokenLink, whose names may lead in a circle.
const maxLinks = 10

// brokenLink walks from c to the issuers that its name leads to. Empty: each
// link holds, and the reason is another.
func (a *authority) brokenLink(c located) string {
	all := slices.Concat(a.anchors, a.intermediates)
	for depth := range maxLinks {
		var bearers []located // of the issuer's name
		for _, l := range all {
			if string(l.RawSubject) == string(c.RawIssuer) && !l.Equal(c.Certificate) {
				bearers = append(bearers, l)
			}
		}
		if len(bearers) == 0 {
			if selfIssued(c) {
				return fmt.Sprintf("%s in %s signed itself and is no CA certificate of %s", name(c), c.path, a.anchors[0].path)
			}
			return fmt.Sprintf("%s in %s was issued by %q, which is neither in %s nor among the intermediates", name(c), c.path, plain(c.Issuer.String()), a.anchors[0].path)
		}
		signer := slices.IndexFunc(bearers, func(l located) bool {
			return l.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
		})
		if signer < 0 {
			return fmt.Sprintf("%s in %s names %s in %s as its issuer, but was signed by another key", name(c), c.path, name(bearers[0]), bearers[0].path)
		}
		issuer := bearers[signer]
		switch {
		case !isCA(issuer):
			return fmt.Sprintf("%s in %s signed it without being a CA (no CA flag)", name(issuer), issuer.path)
		case issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0:
			return fmt.Sprintf("%s in %s may not sign certificates (key usage)", name(issuer), issuer.path)
		case issuer.MaxPathLen >= 0 && depth > issuer.MaxPathLen:
			return fmt.Sprintf("%s in %s allows %d intermediates below it, and there are %d (path length)", name(issuer), issuer.path, issuer.MaxPathLen, depth)
		}
		c = issuer
	}
	return ""
}
