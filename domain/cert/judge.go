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

// clockTolerance is how far ahead a certificate may begin for it to be a
// question of this machine's clock: less than an hour.
const clockTolerance = time.Hour

// Options are what a judgement depends on besides the files and the instant.
type Options struct {
	// Threshold is how long before its end a certificate is to be renewed at
	// the latest; see RenewAt.
	Threshold time.Duration
	// OtherClock is the same instant by a server's clock that differs from
	// ours; zero if none does. A date then counts as past, or as yet to come,
	// only if it is so by both clocks (docs/SPEC.md, "When the
	// clock is wrong").
	OtherClock time.Time
}

// Judgement is what is to be thought of a set of files.
//
// Every part is judged as far as the others allow, and Status is the worst of
// what is wrong, in this order: missing, corrupt, not_yet_valid, expired,
// key_mismatch, untrusted, revoked, expiring_soon. So it does not depend on
// which file was looked at first: a missing ca.pem is not hidden by an expired
// leaf, an expired CA not by a revoked leaf. What is not the worst is in
// Problems and Detail all the same, and makes sure that a certificate that is
// not yet valid is put down to the clock only if nothing else is wrong.
type Judgement struct {
	Status ports.CertificateStatus
	// Detail says in plain words what is wrong with which file and what to do,
	// or until when the certificate is valid.
	Detail string
	// Problems are all that is wrong, the worst first; none if Servable.
	Problems []Problem
	// ClockProblem: nothing is wrong but that the certificate becomes valid in
	// less than an hour. Wait and warn; do not enroll.
	ClockProblem bool

	// The rest is about the leaf: the certificate of the server's file that
	// matches the key; without a match the first that is no CA. It is zero if
	// there is none.

	Leaf                *x509.Certificate
	Subject             string
	Serial              string // hexadecimal
	NotBefore, NotAfter time.Time
	// Chain is DER as a TLS listener sends it: the leaf, then intermediates,
	// no self-signed root. Empty without a verified chain.
	Chain [][]byte
	// End is when the verified chain ceases to be valid: NotAfter, or earlier
	// if a CA ends before the leaf. Zero without such a chain.
	End time.Time
	// RenewAt is when the certificate becomes expiring_soon: RenewAt of
	// NotBefore, End and the leaf's SHA-256. With two clocks it must have come
	// by both, or a clock that is fast would renew in a loop. Zero without a
	// verified chain.
	RenewAt time.Time
}

// Problem is one thing that is wrong.
type Problem struct {
	Status ports.CertificateStatus
	Path   string // the file concerned
	Text   string // what is wrong, as part of a sentence; names the file

	begins time.Time // of CertNotYetValid
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

// Judge judges files at an instant.
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
		return conclude(append(problems, clocks.ofAnchors(anchors)...), verdict{}, clocks, o)
	}
	leaves, wrong := leavesOf(server, key, f)
	problems = append(problems, wrong...)
	court := court{newAuthority(anchors, slices.Concat(server, more)), lists, clocks}
	var best verdict
	for i, leaf := range leaves {
		if v := court.judge(leaf); i == 0 || v.betterThan(best) {
			best = v
		}
	}
	return conclude(append(problems, best.problems...), best, clocks, o)
}

// intermediatesOf reads a bundle's ca_chain, which may be empty.
func intermediatesOf(f ports.FoundFile) ([]located, []Problem) {
	if f.Err == nil && begun(f.PEM, certificateType) == 0 {
		return nil, nil
	}
	return certificates(f)
}

// leavesOf are the certificates that match the key. Without a key, or if none
// matches it, it is the one that is most probably meant: the first that is no
// CA, else the first.
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

// court judges leaves.
type court struct {
	*authority
	lists  []*x509.RevocationList
	clocks clocks
}

// verdict is what is wrong with a leaf by its best chain, which is nil if it
// has none.
type verdict struct {
	leaf     located
	chain    chain
	problems []Problem
}

// judge tries every chain of a leaf, since one of them may be expired (a
// renewed CA with the old key) or lead through a revoked certificate.
func (c court) judge(leaf located) verdict {
	if len(c.anchors) == 0 {
		return verdict{leaf: leaf, problems: c.clocks.of(leaf)}
	}
	chains, err := c.verify(leaf, x509.ExtKeyUsageServerAuth)
	if err != nil {
		untrusted := Problem{Status: ports.CertUntrusted, Path: leaf.path, Text: c.distrust(leaf, err)}
		return verdict{leaf: leaf, problems: slices.Concat([]Problem{untrusted}, c.clocks.of(leaf), c.clocks.ofAnchors(c.anchors))}
	}
	revoked := revocations(chains, c.lists)
	var best verdict
	for _, chain := range chains {
		v := verdict{leaf: leaf, chain: chain}
		for _, l := range chain {
			v.problems = append(v.problems, c.clocks.of(l)...)
			if at, found := revoked[string(l.Raw)]; found {
				v.problems = append(v.problems, Problem{
					Status: ports.CertRevoked, Path: l.path,
					Text: fmt.Sprintf("%s in %s, serial %x, was revoked on %s", name(l), l.path, l.SerialNumber, date(at)),
				})
			}
		}
		if best.chain == nil || v.betterThan(best) {
			best = v
		}
	}
	return best
}

// betterThan prefers the less severe, then the one that lasts longer, then the
// longer chain, which serves clients that know only the root.
func (v verdict) betterThan(other verdict) bool {
	if c := cmp.Compare(severity(v.problems), severity(other.problems)); c != 0 {
		return c < 0
	}
	if v.chain == nil || other.chain == nil {
		return v.chain != nil
	}
	if c := v.chain.end().Compare(other.chain.end()); c != 0 {
		return c > 0
	}
	return len(v.chain) > len(other.chain)
}

// order has the states from the best to the worst.
var order = []ports.CertificateStatus{
	ports.CertValid, ports.CertExpiringSoon, ports.CertRevoked, ports.CertUntrusted, ports.CertKeyMismatch,
	ports.CertExpired, ports.CertNotYetValid, ports.CertCorrupt, ports.CertMissing,
}

// severity is the rank of the worst problem; 0 without any.
func severity(problems []Problem) int {
	worst := 0
	for _, p := range problems {
		worst = max(worst, slices.Index(order, p.Status))
	}
	return worst
}

// conclude sums up.
func conclude(problems []Problem, v verdict, clocks clocks, o Options) Judgement {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Compare(slices.Index(order, b.Status), slices.Index(order, a.Status))
	})
	j := Judgement{Status: order[severity(problems)], Problems: problems, ClockProblem: clocks.nearlyBegun(problems)}
	if v.leaf.Certificate != nil {
		j.Leaf, j.NotBefore, j.NotAfter = v.leaf.Certificate, v.leaf.NotBefore, v.leaf.NotAfter
		j.Subject, j.Serial = plain(v.leaf.Subject.String()), fmt.Sprintf("%x", v.leaf.SerialNumber)
	}
	if v.chain != nil {
		for i, l := range v.chain {
			if i == 0 || !selfIssued(l) {
				j.Chain = append(j.Chain, l.Raw)
			}
		}
		j.End = v.chain.end()
		j.RenewAt = RenewAt(j.NotBefore, j.End, sha256.Sum256(v.leaf.Raw), o.Threshold)
	}
	if j.Status == ports.CertValid && clocks.come(j.RenewAt) {
		j.Status = ports.CertExpiringSoon
	}
	j.Detail = j.detail()
	return j
}
