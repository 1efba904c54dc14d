package fakeserver

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// issued is a certificate that the manager has issued.
type issued struct {
	*x509.Certificate
	revokedAt time.Time // zero: not revoked
}

// bundle is the answer to a poll after approval and, without Status and
// ServerKey, to a renewal.
type bundle struct {
	Status     string         `json:"status,omitempty"`
	CACrt      string         `json:"ca_crt"`
	ServerCrt  string         `json:"server_crt"`
	ServerKey  string         `json:"server_key,omitempty"`
	CAChain    string         `json:"ca_chain"`
	CRLPEM     string         `json:"crl_pem"`
	RepoConfig map[string]any `json:"repo_config,omitempty"`
}

// issueBundle makes the bundle of an approved host, with a certificate for the
// key of its CSR or for a key that the manager makes.
func (s *Server) issueBundle(e *enrollment) (*bundle, error) {
	names := &x509.Certificate{DNSNames: []string{e.fqdn}, IPAddresses: []net.IP{e.ip.Unmap().AsSlice()}, NotBefore: s.now().Add(-s.CertAge)}
	if !strings.EqualFold(e.hostname, e.fqdn) {
		names.DNSNames = append(names.DNSNames, e.hostname)
	}
	var serverKey string
	var public any
	if e.csr != nil && !s.IgnoreCSR {
		public = e.csr.PublicKey
	} else {
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		public, serverKey = key.Public(), toPEM("PRIVATE KEY", der)
	}
	b, err := s.certify(e, names, public)
	if err != nil {
		return nil, err
	}
	b.Status = string(EnrollmentApproved)
	b.ServerKey = serverKey
	b.RepoConfig = map[string]any{"repositories": []string{}}
	return b, nil
}

// certify issues a certificate to a host, with the names and the beginning in
// template.
func (s *Server) certify(e *enrollment, template *x509.Certificate, public any) (*bundle, error) {
	template.Subject = pkix.Name{CommonName: e.fqdn}
	template.NotBefore = template.NotBefore.Truncate(time.Second)
	template.NotAfter = template.NotBefore.Add(seconds(orDefault(s.CertLifetime, defaultCertLifetime)))
	leaf, err := s.managerCA.issue(template, public)
	if err != nil {
		return nil, err
	}
	crl, err := s.makeCRL()
	if err != nil {
		return nil, err
	}
	e.certificates = append(e.certificates, &issued{Certificate: leaf})
	b := &bundle{
		CACrt:     certPEM(s.managerCA.root),
		ServerCrt: certPEM(leaf),
		CAChain:   certPEM(s.managerCA.intermediate),
		CRLPEM:    crl,
	}
	if s.ChainInServerCert {
		b.ServerCrt += b.CAChain
	}
	return b, nil
}

// makeCRL makes the list of what is revoked now. The intermediate signs it,
// since a list is about the certificates of its issuer (RFC 5280, section 5).
func (s *Server) makeCRL() (string, error) {
	s.crlNumber++
	now := s.now()
	list := &x509.RevocationList{
		Number:     big.NewInt(s.crlNumber),
		ThisUpdate: now,
		NextUpdate: now.Add(seconds(orDefault(s.CRLLifetime, defaultCRLLifetime))),
	}
	for _, e := range s.enrollments {
		for _, c := range e.certificates {
			if !c.revokedAt.IsZero() {
				list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
					x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: c.revokedAt})
			}
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, s.managerCA.intermediate, s.managerCA.key)
	if err != nil {
		return "", err
	}
	return toPEM("X509 CRL", der), nil
}

func (s *Server) serveCRL(w http.ResponseWriter, r *http.Request) {
	if err := checkBare(r); err != nil {
		writeRefusal(w, badRequest(err.Error()))
		return
	}
	s.mu.Lock()
	crl, err := s.makeCRL()
	s.unlock()
	if err != nil {
		writeRefusal(w, &refusal{status: http.StatusInternalServerError, reason: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	// An error means that the client has gone.
	_, _ = w.Write([]byte(crl))
}

func (s *Server) serveRenew(w http.ResponseWriter, r *http.Request) {
	if s.NoRenew {
		http.NotFound(w, r)
		return
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		writeRefusal(w, &refusal{status: http.StatusUnauthorized, reason: "renewal needs the present certificate as client certificate"})
		return
	}
	o, no := readObject(r)
	if no != nil {
		writeRefusal(w, no)
		return
	}
	csr := takeCSR(o)
	if err := o.end(); err != nil {
		writeRefusal(w, badRequest(err.Error()))
		return
	}
	b, no := s.renew(r.TLS.PeerCertificates[0], csr)
	if no != nil {
		writeRefusal(w, no)
		return
	}
	writeJSON(w, http.StatusOK, b)
}

// renew certifies a fresh key for the host that has the present certificate,
// for the names that its CSR asks for or else those of its registration.
func (s *Server) renew(present *x509.Certificate, csr *x509.CertificateRequest) (*bundle, *refusal) {
	s.mu.Lock()
	defer s.unlock()
	e, c := s.issuedTo(present)
	switch {
	case e == nil:
		return nil, &refusal{status: http.StatusForbidden, reason: "the present certificate is of no host"}
	case !c.revokedAt.IsZero():
		return nil, &refusal{status: http.StatusForbidden, reason: "the present certificate is revoked"}
	}
	for _, former := range e.certificates {
		if string(former.RawSubjectPublicKeyInfo) == string(csr.RawSubjectPublicKeyInfo) {
			return nil, badRequest("csr_pem is not of a fresh key")
		}
	}
	names := &x509.Certificate{DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses, NotBefore: s.now()}
	if len(names.DNSNames)+len(names.IPAddresses) == 0 {
		names.DNSNames, names.IPAddresses = present.DNSNames, present.IPAddresses
	}
	b, err := s.certify(e, names, csr.PublicKey)
	if err != nil {
		return nil, &refusal{status: http.StatusInternalServerError, reason: err.Error()}
	}
	return b, nil
}

// issuedTo finds the host that a certificate was issued to.
func (s *Server) issuedTo(certificate *x509.Certificate) (*enrollment, *issued) {
	for _, e := range s.enrollments {
		for _, c := range e.certificates {
			if c.Equal(certificate) {
				return e, c
			}
		}
	}
	return nil, nil
}
