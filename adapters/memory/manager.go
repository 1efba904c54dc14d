package memory

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Manager is the manager; Client gives an enroller that asks it. The zero
// value approves every host at once and issues certificates for an hour. Set
// the fields before the first request.
type Manager struct {
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
	// IgnoreCSR: the manager makes the key and sends it.
	IgnoreCSR bool
	// NoRenew: the manager does not have the renew endpoint.
	NoRenew bool

	// The faults: each is called for every request of its kind and returns the
	// answer. serve does what a healthy manager does; to lose an answer after
	// the deed, call it and return another. A fault may block until ctx is done,
	// as a silent manager does.
	OnRegister func(ctx context.Context, r ports.RegisterRequest, serve func() ports.RegisterAnswer) ports.RegisterAnswer
	OnPoll     func(ctx context.Context, token ports.Secret, serve func() ports.PollAnswer) ports.PollAnswer
	OnRenew    func(ctx context.Context, csr []byte, serve func() ports.RenewAnswer) ports.RenewAnswer
	OnCRL      func(ctx context.Context, serve func() ports.CRLAnswer) ports.CRLAnswer

	mu           sync.Mutex
	requests     []ManagerRequest
	ca           *authority              // made by the first who needs it
	hosts        map[string]*host        // the newest registration of each machine, by machine_id
	tokens       map[string]*host        // every registration, by its token
	certificates map[string]*certificate // every one that was issued, by its DER
	revoked      []x509.RevocationListEntry
	crl          []byte    // the newest list
	crlMade      time.Time // zero: there is none, or it is out of date
}

// ManagerRequest is a request that reached the manager. Fields that its kind does
// not have are empty.
type ManagerRequest struct {
	Kind     RequestKind
	At       time.Time
	Register ports.RegisterRequest
	Token    ports.Secret
	CSR      []byte
}

// RequestKind is a kind of request.
type RequestKind string

// The kinds of request.
const (
	Register RequestKind = "register"
	Poll     RequestKind = "poll"
	Renew    RequestKind = "renew"
	CRL      RequestKind = "crl"
)

// host is a registration and what became of it.
type host struct {
	ports.RegisterRequest
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

// Requests returns all requests, oldest first.
func (m *Manager) Requests() []ManagerRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

// Count is how many requests of a kind came.
func (m *Manager) Count(kind RequestKind) (n int) {
	for _, r := range m.Requests() {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

// AddHost makes the manager know a machine that has its bundle already: its
// registration is answered with 409 until it is approved again, denied or
// removed.
func (m *Manager) AddHost(machineID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(&host{RegisterRequest: ports.RegisterRequest{MachineID: machineID}, state: enrolled})
}

// Approve approves the newest registration of a machine. One that has its
// bundle is approved again: its token is good for one more, or the machine may
// register once more, to be approved at once.
func (m *Manager) Approve(machineID string) error {
	return m.onHost(machineID, func(h *host) {
		h.again = h.again || h.state == enrolled
		h.state = approved
	})
}

// Deny denies a machine: its poll says so, and it may register again.
func (m *Manager) Deny(machineID string) error {
	return m.onHost(machineID, func(h *host) { h.state = denied })
}

// Remove forgets a machine: its token is unknown, and it may register again. Its
// certificates stay valid and are renewed.
func (m *Manager) Remove(machineID string) error {
	return m.onHost(machineID, func(h *host) { h.state = removed })
}

// Revoke puts the certificates of a machine on the revocation list and renews them
// no more.
func (m *Manager) Revoke(machineID string) error {
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
func (m *Manager) Issued(machineID string) (issued []*x509.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.hosts[machineID]; h != nil {
		for _, c := range h.certificates {
			issued = append(issued, c.Certificate)
		}
	}
	return issued
}

func (m *Manager) onHost(machineID string, deed func(*host)) error {
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
func (m *Manager) note(r ManagerRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.At = time.Now()
	m.requests = append(m.requests, r)
}

func (m *Manager) register(r ports.RegisterRequest) ports.RegisterOutcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &host{RegisterRequest: r}
	h.CSR = slices.Clone(r.CSR)
	if former := m.hosts[r.MachineID]; former != nil {
		undecided := former.state == pending || former.state == approved
		switch {
		case undecided && r.IdempotencyKey != "" && former.IdempotencyKey == r.IdempotencyKey:
			return ports.Registered{Token: former.token}
		case former.again:
			h.state = approved
		case undecided || former.state == enrolled:
			return ports.HostExists{Detail: "this host exists already"}
		}
		former.state = removed
		h.certificates = former.certificates
	}
	m.add(h)
	return ports.Registered{Token: h.token}
}

// add makes h the newest registration of its machine.
func (m *Manager) add(h *host) {
	if m.hosts == nil {
		m.hosts, m.tokens = make(map[string]*host), make(map[string]*host)
	}
	token := fmt.Sprintf("memory-token-%06d", len(m.tokens)+1)
	h.token = ports.NewSecret(token)
	m.hosts[h.MachineID], m.tokens[token] = h, h
}

// statusBody is the body of a poll's 200 (docs/PROTOCOLS.md, "Poll").
type statusBody struct {
	Status    string `json:"status"`
	CACrt     string `json:"ca_crt,omitempty"`
	ServerCrt string `json:"server_crt,omitempty"`
	ServerKey string `json:"server_key,omitempty"`
	CAChain   string `json:"ca_chain,omitempty"`
	CRL       string `json:"crl_pem,omitempty"`
}

// poll answers for a token. It forgets a bundle as it sends it.
func (m *Manager) poll(token ports.Secret) ports.PollOutcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	body := statusBody{Status: "notfound"}
	h := m.tokens[token.Reveal()]
	if h == nil {
		h = &host{state: removed} // as good as one that was
	}
	if h.state == pending && !m.Manual && h.polls >= m.ApproveAfter {
		h.state = approved
	}
	h.polls++
	switch h.state {
	case enrolled, removed:
	case pending:
		body.Status = "pending"
	case denied:
		body.Status = "denied"
	case approved:
		bundle, err := m.issue(h)
		if err != nil {
			return ports.PollUnexpected{Status: 400, Detail: err.Error()}
		}
		h.state, h.again = enrolled, false
		body = statusBody{
			Status: "approved", CACrt: string(bundle.CA), ServerCrt: string(bundle.Cert), ServerKey: bundle.Key.Reveal(),
			CAChain: string(bundle.Chain), CRL: string(bundle.CRL),
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return ports.PollUnexpected{Status: 500, Detail: err.Error()}
	}
	return ports.PollAnswered{Body: ports.NewSecret(string(text))}
}

// interpret reads what poll writes.
func interpret(text ports.Secret) ports.PollDecision {
	unreadable := func(why string) ports.PollDecision {
		return ports.DecisionUnreadable{Reason: "the manager's decision " + why}
	}
	var fields map[string]json.RawMessage // its names are exact, those of a struct are not
	if json.Unmarshal([]byte(text.Reveal()), &fields) != nil {
		return unreadable("is not a JSON object")
	}
	read := func(name string) (s string) {
		_ = json.Unmarshal(fields[name], &s) // absent, or of another type: stays empty
		return s
	}
	switch read("status") {
	case "pending":
		return ports.DecisionPending{}
	case "denied":
		return ports.DecisionDenied{}
	case "notfound", "not_found":
		return ports.DecisionUnknown{}
	case "approved":
	default:
		return unreadable("has no known status")
	}
	bundle := ports.Bundle{
		CA: []byte(read("ca_crt")), Cert: []byte(read("server_crt")), Key: ports.NewSecret(read("server_key")),
		Chain: []byte(read("ca_chain")), CRL: []byte(read("crl_pem")),
	}
	if blank(bundle.CA) || blank(bundle.Cert) {
		return unreadable("is approved, but lacks a certificate")
	}
	return ports.DecisionApproved{Bundle: bundle}
}

func (m *Manager) renew(present *x509.Certificate, csr []byte) ports.RenewOutcome {
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
	return ports.Renewed{Bundle: bundle}
}

// issue makes the bundle of an approved host.
func (m *Manager) issue(h *host) (ports.Bundle, error) {
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

func (m *Manager) certify(h *host, csrPEM []byte) (ports.Bundle, error) {
	block, _ := pem.Decode(csrPEM)
	if block == nil {
		return ports.Bundle{}, errors.New("csr_pem is not PEM")
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

func (m *Manager) certifyKey(h *host, public any) (ports.Bundle, error) {
	ca, err := m.authority()
	if err != nil {
		return ports.Bundle{}, err
	}
	leaf, err := ca.issue(h.RegisterRequest, public, orDefault(m.Lifetime, time.Hour))
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
	return ports.Bundle{
		CA: certificatePEM(ca.root), Cert: certificatePEM(leaf), Chain: certificatePEM(ca.intermediate), CRL: list,
	}, nil
}

// list returns the present revocation list, made anew at most once a second.
func (m *Manager) list() ([]byte, error) {
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

func (m *Manager) authority() (*authority, error) {
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
