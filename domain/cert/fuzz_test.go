package cert_test

import (
	"crypto"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// FuzzJudge: whatever the files hold, no panic; and what may be served has a
// key that matches the leaf and a chain that crypto/x509 by itself verifies at
// the instant given.
func FuzzJudge(f *testing.F) {
	read := func(name string) []byte { return file(f, "openssl/"+name).PEM }
	for _, seed := range []struct{ ca, server, key, chain, crl string }{
		{"root.pem", "ec.pem", "ec.key", "empty.pem", "crl.pem"},
		{"root.pem", "rsa.pem", "rsa.key", "empty.pem", "crl.der"},
		{"root.pem", "ed25519.pem", "ed25519.key", "empty.pem", "empty.pem"},
		{"two-roots.pem", "chain-reversed.pem", "below.key", "empty.pem", "crl-both.pem"},
		{"root.pem", "below.pem", "below.key", "intermediate.pem", "crl-intermediate.pem"},
		{"root.pem", "revoked.pem", "revoked.key", "empty.pem", "crl.pem"},
		{"root.pem", "names.pem", "names.key", "empty.pem", "empty.pem"},
		{"version-1.pem", "version-1-leaf.pem", "version-1-leaf.key", "empty.pem", "empty.pem"},
		{"self-signed-ca.pem", "self-signed-ca.pem", "self-signed-ca.key", "empty.pem", "empty.pem"},
		{"renewed-ca.pem", "below-expired-ca.pem", "encrypted-sec1.key", "truncated.pem", "crl-truncated.pem"},
	} {
		f.Add(read(seed.ca), read(seed.server), read(seed.key), read(seed.chain), read(seed.crl), march.Unix())
	}
	f.Fuzz(func(t *testing.T, ca, server, key, chain, crl []byte, at int64) {
		now := time.Unix(at, 0)
		files := cert.Files{
			CA: cert.File{Path: "ca.pem", PEM: ca}, Server: cert.File{Path: "server.pem", PEM: server},
			Key:   cert.KeyFile{Path: "server.key.pem", PEM: ports.NewSecret(string(key))},
			Chain: cert.File{Path: "ca_chain", PEM: chain}, CRL: cert.File{Path: "crl.pem", PEM: crl},
		}
		j := cert.Judge(files, now, cert.Options{Threshold: 7 * 24 * time.Hour})
		if j.Detail == "" || strings.ContainsAny(j.Detail, "\r\n") || j.Status == "" {
			t.Fatalf("status %q, detail %q", j.Status, j.Detail)
		}
		if _, err := cert.JudgeCRL(files, now, cert.Options{}); err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Fatalf("%q", err)
		}
		pair, err := cert.KeyPair(files.Key, j)
		if (err == nil) != j.Servable() {
			t.Fatalf("%s, and the key pair gives %v", j.Status, err)
		}
		if err != nil {
			return
		}
		if public := pair.PrivateKey.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool }); !public.Equal(pair.Leaf.PublicKey) {
			t.Fatal("the key does not match the leaf")
		}
		roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		intermediates.AppendCertsFromPEM(j.ServerPEM())
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now}); err != nil {
			t.Fatalf("%s, and crypto/x509 says: %v", j.Status, err)
		}
	})
}
