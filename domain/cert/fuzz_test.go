package cert_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// fuzzSeeds are names of CA, server and revocation list, and of the key.
var fuzzSeeds = [][4]string{
	{"root", "ec", "crl", "ec"},
	{"root", "rsa", "crl-before", "rsa"},
	{"root", "ed25519", "empty", "ed25519"},
	{"two-roots", "chain-reversed", "crl-both", "below"},
	{"root", "revoked", "crl", "revoked"},
	{"root", "names", "empty", "names"},
	{"version-1", "version-1-leaf", "empty", "version-1-leaf"},
	{"self-signed-ca", "self-signed-ca", "empty", "self-signed-ca"},
	{"renewed-ca", "below-expired-ca", "crl-truncated", "encrypted-sec1"},
}

// FuzzJudge: whatever a bundle holds, no panic; and what may be served has a
// key that matches the leaf and a chain that crypto/x509 by itself verifies at
// the instant given.
//
// The input is a change to one file of a real set, in its text or in the DER
// of its first PEM block, because a fuzzer that changes base64 seldom gets past
// it. It is small, so that the fuzzer does not spend its time on making it
// smaller.
func FuzzJudge(f *testing.F) {
	var sets [][4][]byte // CA, server, revocation list, key
	for i, seed := range fuzzSeeds {
		sets = append(sets, [4][]byte{
			file(f, "openssl/"+seed[0]+".pem").PEM, file(f, "openssl/"+seed[1]+".pem").PEM,
			file(f, "openssl/"+seed[2]+".pem").PEM, file(f, "openssl/"+seed[3]+".key").PEM,
		})
		f.Add(uint8(i), uint8(0), false, uint16(0), uint16(0), []byte{}, march.Unix())
		f.Add(uint8(i), uint8(i), true, uint16(20), uint16(1), []byte{0x30}, october.Unix())
	}
	f.Fuzz(func(t *testing.T, set, part uint8, inDER bool, offset, remove uint16, insert []byte, at int64) {
		insert = insert[:min(len(insert), 64)]
		now, texts := time.Unix(at, 0), sets[int(set)%len(sets)]
		changed := &texts[part%4]
		if block, rest := pem.Decode(*changed); inDER && block != nil {
			block.Bytes = splice(block.Bytes, offset, remove, insert)
			*changed = slices.Concat(pem.EncodeToMemory(block), rest)
		} else {
			*changed = splice(*changed, offset, remove, insert)
		}
		files := cert.Files{
			CA: ports.FoundFile{Path: "ca.pem", PEM: texts[0]}, Server: ports.FoundFile{Path: "server.pem", PEM: texts[1]},
			CRL: ports.FoundFile{Path: "crl.pem", PEM: texts[2]},
			Key: ports.FoundKey{Path: "server.key.pem", PEM: ports.NewSecret(string(texts[3]))},
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
		roots.AppendCertsFromPEM(texts[0])
		intermediates.AppendCertsFromPEM(j.ServerPEM())
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now}); err != nil {
			t.Fatalf("%s, and crypto/x509 says: %v", j.Status, err)
		}
	})
}

// splice replaces remove bytes at offset, as far as there are any.
func splice(text []byte, offset, remove uint16, insert []byte) []byte {
	from := min(int(offset), len(text))
	to := min(from+int(remove), len(text))
	return slices.Concat(text[:from], insert, text[to:])
}
