package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"strings"

	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

// request is a CSR for a key that is on disk: if again, the one of a request
// whose answer was lost or is still awaited elsewhere, else a fresh one.
func (m *managerEnrollment) request(ctx context.Context, facts ports.HostFacts, again bool) ([]byte, error) {
	var key *ecdsa.PrivateKey
	if again {
		stored, err := m.w.Journal.LoadKey(ctx)
		if err != nil && !absent(err) {
			return nil, err
		}
		key = parseKey(stored)
	}
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, fmt.Errorf("making a private key: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("making a private key: %w", err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := m.w.Journal.SaveKey(ctx, ports.NewSecret(string(text))); err != nil {
			return nil, err
		}
	}
	template := x509.CertificateRequest{Subject: pkix.Name{CommonName: facts.FQDN}, DNSNames: names(facts)}
	if ip := net.ParseIP(facts.IPAddress); ip != nil {
		template.IPAddresses = []net.IP{ip}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request for %s: %w", facts.FQDN, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// parseKey is a stored key; nil if it is none of ours.
func parseKey(text ports.Secret) *ecdsa.PrivateKey {
	block, _ := pem.Decode([]byte(text.Reveal()))
	if block == nil {
		return nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	key, _ := parsed.(*ecdsa.PrivateKey)
	return key
}

// names are what a certificate is to be valid for.
func names(facts ports.HostFacts) []string {
	if facts.Hostname == "" || strings.EqualFold(facts.Hostname, facts.FQDN) {
		return []string{facts.FQDN}
	}
	return []string{facts.FQDN, facts.Hostname}
}

// machineID is what the manager knows this host by (docs/PROTOCOLS.md,
// "Register").
func (m *managerEnrollment) machineID(ctx context.Context) string {
	id := m.who.identity()
	signals, err := m.w.Signals.Read(ctx)
	// After a clone was detected the machine-id is not among the hashes: it
	// was copied from the original.
	if _, ours := id.Hashes[ports.SignalOSMachineID]; err == nil && ours {
		if raw := identity.ManagerID(signals.OSMachineID.Value()); raw != "" {
			return raw
		}
	}
	return strings.TrimPrefix(id.MachineUID, "muid_")[:32]
}
