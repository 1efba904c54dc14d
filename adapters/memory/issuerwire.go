package memory

import (
	"bytes"
	"encoding/gob"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// said is a decision on this issuer's wire, which is encoding/gob's.
type said struct {
	Word                      string
	CA, Cert, Key, Chain, CRL []byte
}

// Encode is an answer that says a decision, as the issuer sends it.
func Encode(decision ports.IssueDecision) ports.Received {
	var s said
	switch d := decision.(type) {
	case ports.Issued:
		b := d.Bundle
		s = said{"issued", b.CA, b.Cert, []byte(b.Key.Reveal()), b.Chain, b.CRL}
	case ports.IssuePending:
		s.Word = "pending"
	case ports.IssueDenied:
		s.Word = "denied"
	case ports.IssueUnknown:
		s.Word = "unknown"
	case ports.IssueUnreadable:
		return ports.Received{Raw: ports.NewSecret("nonsense")}
	}
	var raw bytes.Buffer
	if err := gob.NewEncoder(&raw).Encode(s); err != nil {
		panic("memory: a decision does not encode: " + err.Error()) // text and bytes always do
	}
	return ports.Received{Raw: ports.NewSecret(raw.String())}
}

// Interpret implements ports.CertificateIssuer.
func (c *IssuerClient) Interpret(r ports.Received) ports.IssueDecision {
	var s said
	if gob.NewDecoder(strings.NewReader(r.Raw.Reveal())).Decode(&s) != nil {
		return ports.IssueUnreadable{Reason: "the issuer's decision cannot be decoded"}
	}
	switch s.Word {
	case "pending":
		return ports.IssuePending{}
	case "denied":
		return ports.IssueDenied{}
	case "unknown":
		return ports.IssueUnknown{}
	case "issued":
		return ports.Issued{Bundle: ports.Bundle{CA: s.CA, Cert: s.Cert, Key: ports.NewSecret(string(s.Key)), Chain: s.Chain, CRL: s.CRL}}
	}
	return ports.IssueUnreadable{Reason: "the issuer's decision is of no known kind"}
}
