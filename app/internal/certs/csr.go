package certs

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

	"github.com/muster-agent/muster/ports"
)

// Request is a CSR, PEM, for a key that is on disk: with again, for the key of
// a request whose answer was lost or is still awaited elsewhere, else for a
// fresh one.
func (k *Keeper) Request(ctx context.Context, facts ports.HostFacts, again bool) ([]byte, error) {
	var key *ecdsa.PrivateKey
	if again {
		stored, err := k.Journal.LoadKey(ctx)
		if err != nil && !ports.Absent(err) {
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
		if err := k.Journal.SaveKey(ctx, ports.NewSecret(string(text))); err != nil {
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

// names are the DNS names that a certificate is asked for.
func names(facts ports.HostFacts) []string {
	if facts.Hostname == "" || strings.EqualFold(facts.Hostname, facts.FQDN) {
		return []string{facts.FQDN}
	}
	return []string{facts.FQDN, facts.Hostname}
}
