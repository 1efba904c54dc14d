package cert

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/muster-agent/muster/ports"
)

const crlType = "X509 CRL"

// CRLJudgement holds the dates of a sound revocation list. Where a file holds
// several lists (a root's and an intermediate's), each date is the earliest of
// theirs.
type CRLJudgement struct {
	ThisUpdate time.Time
	// NextUpdate is zero if the list does not say.
	NextUpdate time.Time
	// Expired says that NextUpdate is past by both clocks. What the list
	// revokes stays revoked.
	Expired bool
}

// JudgeCRL judges f.CRL, whether fetched or stored: every list in it must be
// signed by a CA of f.CA, or by an intermediate of f.Server or f.Chain that
// verifies up to one. The rest of f need not be sound. The error says what is
// wrong and names the file.
func JudgeCRL(f Files, now time.Time, o Options) (CRLJudgement, error) {
	lists, err := revocationLists(f.CRL)
	if err != nil {
		return CRLJudgement{}, err
	}
	anchors, problems := certificates(f.CA)
	if problems != nil {
		return CRLJudgement{}, fmt.Errorf("the revocation list %s cannot be checked: %s", f.CRL.Path, problems[0].Text)
	}
	signers := newVerifier(anchors, f.intermediates()).signers()
	var j CRLJudgement
	for i, list := range lists {
		if !signedByOne(list, signers) {
			return CRLJudgement{}, fmt.Errorf("the revocation list %s of %q is signed by no CA of %s that may sign one: fetch it again", f.CRL.Path, printable(list.Issuer.String()), f.CA.Path)
		}
		if i == 0 || list.ThisUpdate.Before(j.ThisUpdate) {
			j.ThisUpdate = list.ThisUpdate
		}
		if next := list.NextUpdate; !next.IsZero() && (j.NextUpdate.IsZero() || next.Before(j.NextUpdate)) {
			j.NextUpdate = next
		}
	}
	j.Expired = !j.NextUpdate.IsZero() && o.clocks(now).past(j.NextUpdate)
	return j, nil
}

// intermediates returns the certificates of the server's file and of ca_chain.
// A file that cannot be read adds none.
func (f Files) intermediates() []located {
	server, _ := certificates(f.Server)
	more, _ := certificates(f.Chain)
	return append(server, more...)
}

// signers returns the certificates whose lists are looked at: the anchors, and
// the intermediates that verify up to one. signedBy checks that such a
// certificate is a CA's.
func (v *verifier) signers() []located {
	signers := slices.Clone(v.anchors)
	for _, i := range v.intermediates {
		if _, err := v.verify(i, x509.ExtKeyUsageAny); err == nil {
			signers = append(signers, i)
		}
	}
	return signers
}

func signedByOne(list *x509.RevocationList, signers []located) bool {
	return slices.ContainsFunc(signers, func(s located) bool { return signedBy(list, s) })
}

func signedBy(list *x509.RevocationList, ca located) bool {
	return isCA(ca) && bytes.Equal(list.RawIssuer, ca.RawSubject) && list.CheckSignatureFrom(ca.Certificate) == nil
}

// revocationLists reads every list of a file in PEM, or the only one of a file in
// DER.
func revocationLists(f ports.FoundFile) ([]*x509.RevocationList, error) {
	if problems := unread(f.Path, f.Err); problems != nil {
		return nil, errors.New(problems[0].Text)
	}
	var ders [][]byte
	text := bytes.TrimPrefix(f.PEM, byteOrderMark)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == crlType {
			ders = append(ders, block.Bytes)
		}
	}
	switch n := begun(text, crlType); {
	case len(bytes.TrimSpace(f.PEM)) == 0:
		return nil, fmt.Errorf("the revocation list %s is empty: fetch it again", f.Path)
	case len(ders) < n:
		return nil, fmt.Errorf("the revocation list %s is cut short or damaged: fetch it again", f.Path)
	case n == 0:
		ders = [][]byte{f.PEM}
	}
	lists := make([]*x509.RevocationList, len(ders))
	for i, der := range ders {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("%s holds no revocation list that can be decoded (%s): fetch it again", f.Path, printable(err.Error()))
		}
		lists[i] = list
	}
	return lists, nil
}

// revocations returns when each revoked certificate was revoked, by its DER. A
// list counts only for certificates that its signer issued, as the chains show.
// A certificate that is revoked in one chain is revoked in all.
func revocations(chains []chain, lists []*x509.RevocationList) map[string]time.Time {
	revoked := map[string]time.Time{}
	for _, list := range lists {
		for _, c := range chains {
			for i, issuer := range c[min(1, len(c)):] {
				subject := c[i]
				if at, found := listed(list, subject); found && signedBy(list, issuer) {
					revoked[string(subject.Raw)] = at
				}
			}
		}
	}
	return revoked
}

// listed looks a certificate up in a list, which must be its issuer's. An entry
// counts whatever its reason code.
func listed(list *x509.RevocationList, c located) (at time.Time, found bool) {
	if !bytes.Equal(list.RawIssuer, c.RawIssuer) {
		return time.Time{}, false
	}
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(c.SerialNumber) == 0 {
			return entry.RevocationTime, true
		}
	}
	return time.Time{}, false
}
