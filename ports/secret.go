package ports

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// redacted is what a Secret prints as, whatever the verb or the encoder.
const redacted = "[redacted]"

// ErrSecretEncoding is returned when an encoder asks a Secret for its text.
var ErrSecretEncoding = errors.New("a secret may not be encoded: call Reveal where it leaves the process")

// Secret holds a key, a token or a password from the moment it is read to the
// moment it is sent. It is a struct around a pointer, so that fmt, slog and
// the encoders of the standard library print neither the value nor a part of
// it, inside containers and unexported fields too. The zero value is empty.
//
// It cannot be compared with ==, which would compare pointers; use Equal.
type Secret struct {
	_     [0]func() // == does not compile
	value *string
}

// NewSecret wraps s. An empty s gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the value. Call it only where the secret leaves the process
// (a request, a protected file) or is checked for its form.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

// Equal compares two secrets in constant time (for equal lengths).
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Fingerprint is the first 8 hex digits of the value's SHA-256, as status
// shows it; empty for an empty secret.
func (s Secret) Fingerprint() string {
	if s.Empty() {
		return ""
	}
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:4])
}

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) } // fmt.State has no one to report an error to

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText always fails, so that no encoder writes a secret unasked.
func (s Secret) MarshalText() ([]byte, error) { return nil, ErrSecretEncoding }

// UnmarshalText reads a secret, so that configuration decoders can fill one.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
