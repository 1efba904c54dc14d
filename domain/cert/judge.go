package cert

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/muster-agent/muster/ports"
)

// clockTolerance: a certificate that becomes valid in less than this is put down
// to this machine's clock.
const clockTolerance = time.Hour

// Options are what a judgement depends on besides the files and the time.
type Options struct {
	// Threshold is how long before its end a certificate is renewed at the
	// latest; see RenewAt.
	Threshold time.Duration
	// Managed: an issuer is asked for a certificate that is missing. It changes
	// the advice only.
	Managed bool
	// OtherClock is the same instant by a server's clock that differs from
	// ours; zero if none does. A date then counts as past, or as yet to come,
	// only if it is so by both clocks (docs/SPEC.md, "When the clock is
	// wrong").
	OtherClock time.Time
}

// Judgement says how sound a set of files is.
//
// Every part is judged as far as the others allow, and Status is the worst of
// what is wrong, in this order: missing, corrupt, not_yet_valid, expired,
// key_mismatch, untrusted, revoked, expiring_soon. So it does not depend on
// which file was looked at first: an expired leaf does not hide that ca.pem is
// missing, nor a revoked leaf that the CA has expired. Problems and Detail name
// whatever else is wrong, and a certificate that is not yet valid is put down to
// the clock only if nothing else is.
type Judgement struct {
	Status ports.CertificateStatus
	// Detail says in plain words what is wrong with which file and what to do,
	// or until when the certificate is valid.
	Detail string
	// Problems are all that is wrong, the worst first; none if Servable.
	Problems []Problem
	// ClockProblem says that nothing is wrong, except that the certificate
	// becomes valid only in less than an hour: wait and warn; do not enroll.
	ClockProblem bool

	// The fields below describe the leaf: the certificate in the server's file
	// that matches the key or, if none does, the first that is no CA. They are
	// zero if there is no leaf.

	Leaf                *x509.Certificate
	Subject             string
	Serial              string // hexadecimal
	NotBefore, NotAfter time.Time
	// Chain is what a TLS listener sends, in DER: the leaf, then intermediates,
	// without a self-signed root. Empty without a verified chain.
	Chain [][]byte
	// End is when the verified chain ceases to be valid: NotAfter, or earlier
	// if a CA ends before the leaf. Zero without such a chain.
	End time.Time
	// RenewAt is when the certificate becomes expiring_soon: the function
	// RenewAt of NotBefore, End and the leaf's SHA-256. Both clocks must have
	// reached it, since one that is fast would else renew in a loop. Zero
	// without a verified chain.
	RenewAt time.Time
}

// Problem is one thing that is wrong.
type Problem struct {
	Status ports.CertificateStatus
	Path   string // the file concerned
	Text   string // what is wrong, as part of a sentence; names the file

	begins time.Time // when a certificate that is CertNotYetValid becomes valid
}

// Servable reports whether the certificate can be used: valid or expiring
// soon.
func (j Judgement) Servable() bool {
	return j.Status == ports.CertValid || j.Status == ports.CertExpiringSoon
}

// Report is the judgement as a status shows it.
func (j Judgement) Report() ports.CertificateReport {
	return ports.CertificateReport{
		Status: j.Status, NotBefore: j.NotBefore, NotAfter: j.NotAfter, RenewAt: j.RenewAt, Subject: j.Subject, Detail: j.Detail,
	}
}

// ServerPEM is Chain as server.pem holds it: the leaf, then intermediates.
// Empty without a verified chain.
func (j Judgement) ServerPEM() []byte {
	var out bytes.Buffer
	for _, der := range j.Chain {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: der}))
	}
	return out.Bytes()
}

// Judge judges the files as of now.
func Judge(f Files, now time.Time, o Options) Judgement {
	clocks := o.clocks(now)
	anchors, problems := certificates(f.CA)
	server, wrong := certificates(f.Server)
	problems = append(problems, wrong...)
	key, wrong := privateKey(f.Key)
	problems = append(problems, wrong...)
	more, wrong := intermediatesOf(f.Chain)
	problems = append(problems, wrong...)
	lists, err := revocationLists(f.CRL)
	if err != nil {
		lists = nil // JudgeCRL says why; a list that cannot be read revokes nothing
	}

	if len(server) == 0 {
		return summarise(append(problems, clocks.ofAnchors(anchors)...), result{}, clocks, o)
	}
	leaves, wrong := leavesOf(server, key, f)
	problems = append(problems, wrong...)
	v := validator{newVerifier(anchors, slices.Concat(server, more)), lists, clocks}
	var best result
	for i, leaf := range leaves {
		if r := v.judge(leaf); i == 0 || r.betterThan(best) {
			best = r
		}
	}
	return summarise(append(problems, best.problems...), best, clocks, o)
}

// intermediatesOf reads a bundle's ca_chain, which may be empty.
func intermediatesOf(f ports.FoundFile) ([]located, []Problem) {
	if f.Err == nil && begun(f.PEM, certificateType) == 0 {
		return nil, nil
	}
	return certificates(f)
}

// leavesOf returns the certificates that match the key. Without a key, or if
// none matches it, it returns the one that is most probably meant: the first
// that is no CA, else the first.
func leavesOf(server []located, key crypto.Signer, f Files) ([]located, []Problem) {
	presumed := server[max(0, slices.IndexFunc(server, func(c located) bool { return !isCA(c) }))]
	if key == nil {
		return []located{presumed}, nil
	}
	var matching []located
	for _, c := range server {
		if matches(c.Certificate, key) {
			matching = append(matching, c)
		}
	}
	if matching != nil {
		return matching, nil
	}
	return []located{presumed}, []Problem{{
		Status: ports.CertKeyMismatch, Path: f.Key.Path,
		Text: fmt.Sprintf("the private key in %s is not that of %s in %s, nor of another certificate there", f.Key.Path, name(presumed), f.Server.Path),
	}}
}

// validator judges leaves by the CAs, the revocation lists and the time.
type validator struct {
	*verifier
	lists  []*x509.RevocationList
	clocks clocks
}

// result says what is wrong with a leaf along its best chain; chain is nil if no
// chain verifies.
type result struct {
	leaf     located
	chain    chain
	problems []Problem
}

// judge tries every chain of a leaf, since one of them may lead through a
// revoked certificate or one that has expired (the former one of a CA that was
// renewed with the same key).
func (v validator) judge(leaf located) result {
	if len(v.anchors) == 0 {
		return result{leaf: leaf, problems: v.clocks.of(leaf)}
	}
	chains, err := v.verify(leaf, x509.ExtKeyUsageServerAuth)
	if err != nil {
		untrusted := Problem{Status: ports.CertUntrusted, Path: leaf.path, Text: v.explain(leaf, err)}
		return result{leaf: leaf, problems: slices.Concat([]Problem{untrusted}, v.clocks.of(leaf), v.clocks.ofAnchors(v.anchors))}
	}
	revoked := revocations(chains, v.lists)
	var best result
	for _, chain := range chains {
		r := result{leaf: leaf, chain: chain}
		for _, l := range chain {
			r.problems = append(r.problems, v.clocks.of(l)...)
			if at, found := revoked[string(l.Raw)]; found {
				r.problems = append(r.problems, Problem{
					Status: ports.CertRevoked, Path: l.path,
					Text: fmt.Sprintf("%s in %s, serial %x, was revoked on %s", name(l), l.path, l.SerialNumber, date(at)),
				})
			}
		}
		if best.chain == nil || r.betterThan(best) {
			best = r
		}
	}
	return best
}

// betterThan prefers the less severe problems, then the chain that lasts longer,
// then the longer chain, which serves clients that know only the root.
func (r result) betterThan(other result) bool {
	if c := cmp.Compare(severity(r.problems), severity(other.problems)); c != 0 {
		return c < 0
	}
	if r.chain == nil || other.chain == nil {
		return r.chain != nil
	}
	if c := r.chain.end().Compare(other.chain.end()); c != 0 {
		return c > 0
	}
	return len(r.chain) > len(other.chain)
}

// order lists the statuses from the best to the worst.
var order = []ports.CertificateStatus{
	ports.CertValid, ports.CertExpiringSoon, ports.CertRevoked, ports.CertUntrusted, ports.CertKeyMismatch,
	ports.CertExpired, ports.CertNotYetValid, ports.CertCorrupt, ports.CertMissing,
}

// severity is the place in order of the worst problem; 0 without any.
func severity(problems []Problem) int {
	worst := 0
	for _, p := range problems {
		worst = max(worst, slices.Index(order, p.Status))
	}
	return worst
}

// worstFirst returns the problems in the order in which they are told; of one
// status, as they were found.
func worstFirst(problems []Problem) []Problem {
	var sorted []Problem
	for _, status := range slices.Backward(order) {
		for _, p := range problems {
			if p.Status == status {
				sorted = append(sorted, p)
			}
		}
	}
	return sorted
}

// summarise puts what was found into a judgement.
func summarise(problems []Problem, r result, clocks clocks, o Options) Judgement {
	j := Judgement{Status: order[severity(problems)], Problems: worstFirst(problems), ClockProblem: clocks.nearlyBegun(problems)}
	if r.leaf.Certificate != nil {
		j.Leaf, j.NotBefore, j.NotAfter = r.leaf.Certificate, r.leaf.NotBefore, r.leaf.NotAfter
		j.Subject, j.Serial = printable(r.leaf.Subject.String()), fmt.Sprintf("%x", r.leaf.SerialNumber)
	}
	if r.chain != nil {
		for i, l := range r.chain {
			if i == 0 || !selfIssued(l) {
				j.Chain = append(j.Chain, l.Raw)
			}
		}
		j.End = r.chain.end()
		j.RenewAt = RenewAt(j.NotBefore, j.End, sha256.Sum256(r.leaf.Raw), o.Threshold)
	}
	if j.Status == ports.CertValid && clocks.reached(j.RenewAt) {
		j.Status = ports.CertExpiringSoon
	}
	j.Detail = j.detail(o.Managed)
	return j
}
