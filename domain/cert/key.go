package cert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// minRSABits is the shortest RSA key that Go's crypto/rsa signs with.
const minRSABits = 1024

// privateKey reads the first private key of a file: RSA, ECDSA or Ed25519, in
// PKCS#8, PKCS#1 or SEC 1. None of its texts comes from a decoder, whose errors
// may quote what they decode.
func privateKey(f ports.FoundKey) (crypto.Signer, []Problem) {
	if problems := unread(f.Path, f.Err); problems != nil {
		return nil, problems
	}
	text := f.PEM.Reveal()
	if strings.TrimSpace(text) == "" {
		return nil, []Problem{corrupt(f.Path, "is empty")}
	}
	for block, rest := pem.Decode(bytes.TrimPrefix([]byte(text), byteOrderMark)); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type != "PRIVATE KEY" && !strings.HasSuffix(block.Type, " PRIVATE KEY"):
			continue
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, []Problem{corrupt(f.Path, "holds a private key that is encrypted: a service has nobody to ask for the passphrase, so store the key without one (openssl pkey -in … -out …)")}
		}
		key, err := decodeKey(block.Bytes)
		if err != nil {
			return nil, []Problem{corrupt(f.Path, err.Error())}
		}
		return key, nil
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return nil, []Problem{corrupt(f.Path, "is cut short or damaged: its private key cannot be read")}
	}
	return nil, []Problem{corrupt(f.Path, "holds no PEM private key")}
}

// decodeKey tries every encoding whatever the block's label says, as OpenSSL
// and crypto/tls do, because labels are often wrong.
func decodeKey(der []byte) (crypto.Signer, error) {
	var key any
	if pkcs8, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		key = pkcs8
	} else if pkcs1, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		key = pkcs1
	} else if sec1, err := x509.ParseECPrivateKey(der); err == nil {
		key = sec1
	}
	switch key := key.(type) {
	case nil:
		return nil, errors.New("holds a private key that cannot be decoded")
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return nil, fmt.Errorf("holds an RSA key of %d bits, and fewer than %d are not safe", bits, minRSABits)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P224() { // RFC 8446, section 4.2.3, has P-256, P-384 and P-521 only
			return nil, errors.New("holds a key on the curve P-224, which TLS 1.3 does not have")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("holds a private key of a kind that cannot sign: RSA, ECDSA or Ed25519 is needed")
}

// matches reports whether a certificate is for a key.
func matches(c *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// KeyPair returns what a TLS listener or client needs: the leaf and
// intermediates of a judgement with the private key. It fails if the judgement
// is not Servable or the key is not the one that was judged.
func KeyPair(key ports.FoundKey, j Judgement) (tls.Certificate, error) {
	if !j.Servable() {
		return tls.Certificate{}, fmt.Errorf("the certificate cannot be used, it is %s: %s", j.Status, j.Detail)
	}
	signer, problems := privateKey(key)
	if problems != nil {
		return tls.Certificate{}, errors.New(problems[0].Text)
	}
	if !matches(j.Leaf, signer) {
		return tls.Certificate{}, fmt.Errorf("the private key in %s was replaced after it was judged: judge the files again", key.Path)
	}
	return tls.Certificate{Certificate: j.Chain, PrivateKey: signer, Leaf: j.Leaf}, nil
}
