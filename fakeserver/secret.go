package fakeserver

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"regexp"
)

// What the server's secrets begin with. The prefix of polling tokens is the
// fake's own, so that redact can recognise one; agents take any token.
const (
	enrollmentKeyPrefix = "cek_"
	apiKeyPrefix        = "cak_"
	pollingTokenPrefix  = "ept_"
)

// mint makes a secret of 256 random bits: the prefix and 43 characters of
// base64url.
func mint(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// hashedKey is what the server keeps of a key.
type hashedKey struct {
	version int // 1 for the first, one more with each replacement
	hash    [sha256.Size]byte
}

func hashKey(version int, secret string) hashedKey {
	return hashedKey{version, sha256.Sum256([]byte(secret))}
}

func (k hashedKey) matches(secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(hash[:], k.hash[:]) == 1
}

// fingerprint names the key to people: its version and the first four hex
// digits of its hash, as in "v1 (7F2A)".
func (k hashedKey) fingerprint() string {
	return fmt.Sprintf("v%d (%X)", k.version, k.hash[:2])
}

const redacted = "REDACTED"

var secretPattern = regexp.MustCompile(`(?s)(?:cek|cak|ept)_[A-Za-z0-9_-]*|-----BEGIN [A-Z ]*PRIVATE KEY-----.*`)

// redact replaces everything in text that looks like a secret of these
// protocols.
func redact(text string) string {
	return secretPattern.ReplaceAllLiteralString(text, redacted)
}
