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

// verifier verifies chains of signatures.
type verifier struct {
	anchors       []located // all certificates of the CA's file
	intermediates []located // those of the server's file and of ca_chain

	roots, others *x509.CertPool
	origin        map[*x509.Certificate]located // the certificate of each undated copy
}

// newVerifier is stricter than crypto/x509 about anchors: a certificate without
// the CA flag, such as any of version 1, is none. An anchor that is not
// self-signed may end a chain, and may as well be an intermediate of a longer
// one.
func newVerifier(anchors, intermediates []located) *verifier {
	v := &verifier{
		anchors: anchors, intermediates: intermediates,
		roots: x509.NewCertPool(), others: x509.NewCertPool(), origin: map[*x509.Certificate]located{},
	}
	for _, anchor := range anchors {
		if isCA(anchor) {
			v.roots.AddCert(v.undated(anchor))
			v.others.AddCert(v.undated(anchor))
		}
	}
	for _, i := range intermediates {
		v.others.AddCert(v.undated(i))
	}
	return v
}

// dateless is the one instant at which undated copies are valid, and the time
// for which verify verifies.
var dateless = time.Unix(0, 0)

// undated returns a copy of c that is valid at dateless only. Signatures are
// checked over the DER, which the copy shares with c.
func (v *verifier) undated(c located) *x509.Certificate {
	undated := *c.Certificate
	undated.NotBefore, undated.NotAfter = dateless, dateless
	v.origin[&undated] = c
	return &undated
}

// verify returns every chain of signatures from c to an anchor by the rules of
// RFC 5280, section 6: signature, CA flag, key usage, path length, name
// constraints, extended key usage all the way up, unknown critical extensions.
// It does not look at
//
//   - dates, which are judged afterwards, by both clocks, so that an expired
//     certificate is told from one that nobody signed;
//   - the host's name, since a changed hostname makes no certificate invalid.
func (v *verifier) verify(c located, usage x509.ExtKeyUsage) ([]chain, error) {
	found, err := v.undated(c).Verify(x509.VerifyOptions{
		Roots: v.roots, Intermediates: v.others, CurrentTime: dateless, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, err
	}
	chains := make([]chain, len(found))
	for i, f := range found {
		for _, undated := range f {
			chains[i] = append(chains[i], v.origin[undated])
		}
	}
	return chains, nil
}

func isCA(c located) bool { return c.BasicConstraintsValid && c.IsCA }

func selfIssued(c located) bool { return string(c.RawSubject) == string(c.RawIssuer) }

// explain tells a person why verify refused c with err. It follows the issuers'
// names upwards to the first thing that is wrong.
func (v *verifier) explain(c located, err error) string {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch invalid.Reason {
		case x509.IncompatibleUsage:
			return fmt.Sprintf("the extended key usage of %s in %s, or of a CA above it, does not allow a TLS server", name(c), c.path)
		case x509.CANotAuthorizedForThisName:
			return fmt.Sprintf("%s in %s bears a name that its CA may not certify (%s)", name(c), c.path, printable(invalid.Detail))
		}
	}
	if reason := v.brokenLink(c); reason != "" {
		return reason
	}
	return fmt.Sprintf("%s in %s: %s", name(c), c.path, printable(err.Error()))
}

// maxLinks bounds the walk of brokenLink, since the names may lead in a circle.
const maxLinks = 10

// brokenLink walks up from c by the issuers' names and says what is wrong with
// the first link that does not hold. It returns "" where each holds: then the
// reason is another.
func (v *verifier) brokenLink(c located) string {
	all := slices.Concat(v.anchors, v.intermediates)
	for depth := range maxLinks {
		var bearers []located // those that bear the issuer's name
		for _, l := range all {
			if string(l.RawSubject) == string(c.RawIssuer) && !l.Equal(c.Certificate) {
				bearers = append(bearers, l)
			}
		}
		if len(bearers) == 0 {
			if selfIssued(c) {
				return fmt.Sprintf("%s in %s signed itself and is no CA certificate of %s", name(c), c.path, v.anchors[0].path)
			}
			return fmt.Sprintf("%s in %s was issued by %q, which is neither in %s nor among the intermediates", name(c), c.path, printable(c.Issuer.String()), v.anchors[0].path)
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
