// Package mtls proves this machine to its peers with the certificate in use,
// and serves those that prove themselves with one of the same CA.
package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/muster-agent/muster/ports"
)

// Holder implements ports.CertificateHolder: each handshake that begins after
// Use has returned takes the new certificate. The zero value holds none. It is
// safe for concurrent use.
type Holder struct{ current atomic.Pointer[inUse] }

// inUse is a certificate with the TLS configuration that follows from it.
type inUse struct {
	*ports.CertificateInUse
	server *tls.Config
}

var _ ports.CertificateHolder = (*Holder)(nil)

// Use implements ports.CertificateHolder. c must not be changed afterwards.
func (h *Holder) Use(c *ports.CertificateInUse) {
	if c == nil {
		h.current.Store(nil)
		return
	}
	h.current.Store(&inUse{c, serverConfig(c)})
}

// ClientCertificate is for tls.Config.GetClientCertificate: the certificate in
// use or, if there is none, one that is empty, which presents nothing.
func (h *Holder) ClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if c := h.current.Load(); c != nil {
		return &c.Certificate, nil
	}
	return new(tls.Certificate), nil
}

// errNoCertificate ends the handshake of a client that comes too early.
var errNoCertificate = errors.New("no certificate is in use")

// configForClient is for tls.Config.GetConfigForClient.
func (h *Holder) configForClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	c := h.current.Load()
	if c == nil {
		return nil, errNoCertificate
	}
	return c.server, nil
}

func serverConfig(c *ports.CertificateInUse) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"http/1.1"},
		Certificates: []tls.Certificate{c.Certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    rootsOf(c),
		// A resumed session would be one more thing to check against a CA and
		// a revocation list that have changed meanwhile.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return refuseRevoked(state.VerifiedChains, c.Revoked)
		},
	}
}

// rootsOf returns the roots, an empty pool if none are given: nil would mean the
// system's roots to crypto/x509.
func rootsOf(c *ports.CertificateInUse) *x509.CertPool {
	if c.Roots == nil {
		return x509.NewCertPool()
	}
	return c.Roots
}

var errRevoked = errors.New("the client's certificate was revoked")

// refuseRevoked fails unless there is a chain without a revoked certificate. The
// root does not count, since no list is about it.
func refuseRevoked(chains [][]*x509.Certificate, revoked func(*x509.Certificate) bool) error {
	for _, chain := range chains {
		if revoked == nil || !slices.ContainsFunc(chain[:len(chain)-1], revoked) {
			return nil
		}
	}
	return errRevoked
}
