package memory

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Issuer is an issuer with an operator and a CA; Client gives an adapter that
// asks it. The zero value approves every host at once and issues certificates
// for an hour. Set the fields before the first request.
type Issuer struct {
	// Manual leaves decisions to Approve and Deny.
	Manual bool
	// ApproveAfter is how many polls are answered with pending before the one
	// that brings the bundle.
	ApproveAfter int
	// Lifetime of certificates, in whole seconds. Zero: 1 hour. They are valid
	// from the second in which they are issued.
	Lifetime time.Duration
	// CRLLifetime is the time from a list's thisUpdate to its nextUpdate.
	// Zero: 24 hours.
	CRLLifetime time.Duration
	// IgnoreCSR: the issuer makes the key and sends it.
	IgnoreCSR bool
	// NoRenew: the issuer does not renew by itself.
	NoRenew bool
	// CAApart: bundles come without the CA, which CACertificates gives.
	CAApart bool

	// The faults: each is called for every request of its kind and gives the
	// answer. serve does what an issuer in good health does; to lose an answer
	// after the deed, call it and return another. A fault may block until ctx
	// is done, as a silent issuer does.
	OnRegister, OnPoll func(ctx context.Context, r ports.IssueRequest, serve func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome]
	OnRenew            func(ctx context.Context, csr []byte, serve func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome]
	OnCA               func(ctx context.Context, serve func() ports.Answer[ports.CAOutcome]) ports.Answer[ports.CAOutcome]
	OnCRL              func(ctx context.Context, serve func() ports.Answer[ports.RevocationOutcome]) ports.Answer[ports.RevocationOutcome]

	mu           sync.Mutex
	requests     []Request
	ca           *authority              // made by the first who needs it
	hosts        map[string]*host        // the newest registration of each machine, by machine_id
	tokens       map[string]*host        // every registration, by its token
	certificates map[string]*certificate // every one that was issued, by its DER
	revoked      []x509.RevocationListEntry
	crl          []byte    // the newest list
	crlMade      time.Time // zero: there is none, or it is out of date
}

// Request is one that reached the issuer. Fields that its kind does not have are
// empty.
type Request struct {
	Kind   RequestKind
	At     time.Time
	Submit ports.IssueRequest
	CSR    []byte
}

// RequestKind is a kind of request.
type RequestKind string

// The kinds of request.
const (
	Register RequestKind = "submit"
	Poll     RequestKind = "resume"
	Renew    RequestKind = "renew"
	CA       RequestKind = "ca"
	CRL      RequestKind = "crl"
)

// host is a registration and what became of it.
type host struct {
	ports.IssueRequest
	token ports.Secret
	state state
	again bool // approved although it has had its bundle
	polls int
	// certificates are the machine's, of its former registrations too, oldest
	// first.
	certificates []*certificate
}

type state int

const (
	pending state = iota
	approved
	enrolled // the bundle was sent and forgotten
	denied
	removed
)

// certificate is one that was issued.
type certificate struct {
	*x509.Certificate
	host    *host
	revoked bool
}

// Requests are all that came, oldest first.
func (m *Issuer) Requests() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

// Count is how many requests of a kind came.
func (m *Issuer) Count(kind RequestKind) (n int) {
	for _, r := range m.Requests() {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

// AddHost makes the issuer know a machine that has its bundle already: its
// registration is answered with IssueKnown until it is approved again, denied or
// removed.
func (m *Issuer) AddHost(machineID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(&host{IssueRequest: ports.IssueRequest{MachineID: machineID}, state: enrolled})
}

// Approve approves the newest registration of a machine. One that has its
// bundle is approved again: its token is good for one more, or the machine may
// register once more, to be approved at once.
func (m *Issuer) Approve(machineID string) error {
	return m.onHost(machineID, func(h *host) {
		h.again = h.again || h.state == enrolled
		h.state = approved
	})
}

// Deny denies it: its poll says so, and it may register again.
func (m *Issuer) Deny(machineID string) error {
	return m.onHost(machineID, func(h *host) { h.state = denied })
}

// Remove forgets it: its token is unknown, and it may register again. Its
// certificates stay valid and are renewed.
func (m *Issuer) Remove(machineID string) error {
	return m.onHost(machineID, func(h *host) { h.state = removed })
}

// Revoke puts its certificates on the revocation list and renews them no more.
func (m *Issuer) Revoke(machineID string) error {
	return m.onHost(machineID, func(h *host) {
		for _, c := range h.certificates {
			if !c.revoked {
				c.revoked, m.crlMade = true, time.Time{}
				m.revoked = append(m.revoked, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
			}
		}
	})
}

// Issued are the certificates of a machine, of all its registrations, oldest
// first.
func (m *Issuer) Issued(machineID string) (issued []*x509.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.hosts[machineID]; h != nil {
		for _, c := range h.certificates {
			issued = append(issued, c.Certificate)
		}
	}
	return issued
}

func (m *Issuer) onHost(machineID string, deed func(*host)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.hosts[machineID]
	if h == nil || h.state == removed {
		return fmt.Errorf("memory: no machine %s has registered", machineID)
	}
	deed(h)
	return nil
}

// note keeps a request.
func (m *Issuer) note(r Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.At = time.Now()
	m.requests = append(m.requests, r)
}

func (m *Issuer) register(r ports.IssueRequest) ports.SubmitOutcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &host{IssueRequest: r}
	h.CSR = slices.Clone(r.CSR)
	if former := m.hosts[r.MachineID]; former != nil {
		undecided := former.state == pending || former.state == approved
		switch {
		case undecided && r.IdempotencyKey != "" && former.IdempotencyKey == r.IdempotencyKey:
			return ports.IssuePending{Resume: former.token}
		case former.again:
			h.state = approved
		case undecided || former.state == enrolled:
			return ports.IssueKnown{Detail: "this host exists already"}
		}
		former.state = removed
		h.certificates = former.certificates
	}
	m.add(h)
	return ports.IssuePending{Resume: h.token}
}

// add makes h the newest registration of its machine.
func (m *Issuer) add(h *host) {
	if m.hosts == nil {
		m.hosts, m.tokens = make(map[string]*host), make(map[string]*host)
	}
	token := fmt.Sprintf("memory-token-%06d", len(m.tokens)+1)
	h.token = ports.NewSecret(token)
	m.hosts[h.MachineID], m.tokens[token] = h, h
}

// poll answers for a token. It forgets a bundle as it sends it.
func (m *Issuer) poll(token ports.Secret) ports.SubmitOutcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.tokens[token.Reveal()]
	if h == nil {
		h = &host{state: removed} // as good as one that was
	}
	if h.state == pending && !m.Manual && h.polls >= m.ApproveAfter {
		h.state = approved
	}
	h.polls++
	switch h.state {
	case pending:
		return ports.IssueReceived{Received: Encode(ports.IssuePending{})}
	case denied:
		return ports.IssueReceived{Received: Encode(ports.IssueDenied{})}
	case approved:
		bundle, err := m.issue(h)
		if err != nil {
			return ports.IssueUnexpected{Status: 400, Detail: err.Error(), Check: "the request is sound"}
		}
		h.state, h.again = enrolled, false
		return ports.IssueReceived{Received: Encode(ports.Issued{Bundle: bundle})}
	case enrolled, removed:
	}
	return ports.IssueReceived{Received: Encode(ports.IssueUnknown{})}
}

func (m *Issuer) renew(present *x509.Certificate, csr []byte) ports.RenewOutcome {
	if m.NoRenew {
		return ports.RenewNotOffered{Status: 404}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if present == nil || m.certificates[string(present.Raw)] == nil {
		return ports.RenewNotOffered{Status: 401}
	}
	c, now := m.certificates[string(present.Raw)], time.Now()
	if c.revoked || now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return ports.RenewNotOffered{Status: 403}
	}
	bundle, err := m.certify(c.host, csr)
	if err != nil {
		return ports.RenewNotOffered{Status: 400}
	}
	received := Encode(ports.Issued{Bundle: bundle})
	received.Renewal = true
	return ports.IssueReceived{Received: received}
}

// issue makes what an approved host gets.
func (m *Issuer) issue(h *host) (ports.Bundle, error) {
	if len(h.CSR) > 0 && !m.IgnoreCSR {
		return m.certify(h, h.CSR)
	}
	key, keyPEM, err := newKeyPEM()
	if err != nil {
		return ports.Bundle{}, err
	}
	bundle, err := m.certifyKey(h, key.Public())
	bundle.Key = ports.NewSecret(string(keyPEM))
	return bundle, err
}

func (m *Issuer) certify(h *host, csrPEM []byte) (ports.Bundle, error) {
	block, _ := pem.Decode(csrPEM)
	if block == nil {
		return ports.Bundle{}, errors.New("the CSR is not PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return ports.Bundle{}, err
	}
	if err := csr.CheckSignature(); err != nil {
		return ports.Bundle{}, err
	}
	return m.certifyKey(h, csr.PublicKey)
}

func (m *Issuer) certifyKey(h *host, public any) (ports.Bundle, error) {
	ca, err := m.authority()
	if err != nil {
		return ports.Bundle{}, err
	}
	leaf, err := ca.issue(h.IssueRequest, public, orDefault(m.Lifetime, time.Hour))
	if err != nil {
		return ports.Bundle{}, err
	}
	list, err := m.list()
	if err != nil {
		return ports.Bundle{}, err
	}
	c := &certificate{Certificate: leaf, host: h}
	h.certificates = append(h.certificates, c)
	if m.certificates == nil {
		m.certificates = make(map[string]*certificate)
	}
	m.certificates[string(leaf.Raw)] = c
	bundle := ports.Bundle{CA: certificatePEM(ca.root), Cert: certificatePEM(leaf), Chain: certificatePEM(ca.intermediate), CRL: list}
	if m.CAApart {
		bundle.CA = nil
	}
	return bundle, nil
}

func (m *Issuer) caCertificates() ports.CAOutcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.CAApart {
		return ports.CANotOffered{}
	}
	ca, err := m.authority()
	if err != nil {
		return ports.Unavailable{Reason: err.Error()}
	}
	return ports.CACertificates{PEM: certificatePEM(ca.root)}
}

func (m *Issuer) revocationList() ports.RevocationOutcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	list, err := m.list()
	if err != nil {
		return ports.Unavailable{Reason: err.Error()}
	}
	return ports.RevocationList{PEM: list}
}

// list is the revocation list of the moment, made anew each second at most.
func (m *Issuer) list() ([]byte, error) {
	if now := time.Now(); now.Sub(m.crlMade) >= time.Second {
		ca, err := m.authority()
		if err != nil {
			return nil, err
		}
		if m.crl, err = ca.list(m.revoked, orDefault(m.CRLLifetime, 24*time.Hour)); err != nil {
			return nil, err
		}
		m.crlMade = now
	}
	return slices.Clone(m.crl), nil
}

func (m *Issuer) authority() (*authority, error) {
	if m.ca == nil {
		ca, err := newAuthority(time.Now())
		if err != nil {
			return nil, err
		}
		m.ca = ca
	}
	return m.ca, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
