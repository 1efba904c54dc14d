package dpapi

import (
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.Protector(t, func() ports.Protector { return Protector{} })
}

// TestWhatTheChecksumDoesNotTell shows that a blob is judged by DPAPI itself:
// one that was changed by somebody who made the checksum anew.
func TestWhatTheChecksumDoesNotTell(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	secret := ports.NewSecret("a secret of some length, of two blocks at least")
	wrapped, err := Protector{}.Protect(secret, "purpose", "muid_1")
	is.NoErr(err)
	for n := sha256.Size; n < len(wrapped); n++ {
		changed := append([]byte(nil), wrapped[sha256.Size:]...)
		changed[n-sha256.Size] ^= 1
		sum := sha256.Sum256(changed)
		got, err := Protector{}.Unprotect(append(sum[:], changed...), "purpose", "muid_1")
		if err != nil && !errors.Is(err, ports.ErrUnprotectable) || err == nil && !got.Equal(secret) {
			t.Fatalf("byte %d of the blob changed: %v", n-sha256.Size, err)
		}
	}
	garbage := make([]byte, 200)
	sum := sha256.Sum256(garbage)
	_, err = Protector{}.Unprotect(append(sum[:], garbage...), "purpose", "muid_1")
	is.True(errors.Is(err, ports.ErrUnprotectable))
}
