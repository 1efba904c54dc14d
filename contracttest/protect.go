package contracttest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// Protector is the suite of ports.Protector. Each call of open stands for the
// start of another process on the same machine.
func Protector(t *testing.T, open func() ports.Protector) {
	names(t, "Protector")
	const purpose = "credential"
	t.Run("what was protected is read back after a restart", func(t *testing.T) {
		is := is.New(t)
		for _, text := range []string{"", "k", key(1).Reveal(), "\x00\xff\n", strings.Repeat("0123456789abcdef", 1<<16)} {
			for _, machineUID := range []string{"", uid(1)} {
				wrapped, err := open().Protect(ports.NewSecret(text), purpose, machineUID)
				is.NoErr(err)
				is.True(len(wrapped) <= len(text)+1<<10)
				got, err := open().Unprotect(wrapped, purpose, machineUID)
				is.NoErr(err)
				is.True(got.Equal(ports.NewSecret(text)))
			}
		}
	})
	wrap := func(t *testing.T) []byte {
		t.Helper()
		wrapped, err := open().Protect(key(1), purpose, uid(1))
		is.New(t).NoErr(err)
		return wrapped
	}
	refused := func(t *testing.T, wrapped []byte, purpose, machineUID string) {
		t.Helper()
		got, err := open().Unprotect(wrapped, purpose, machineUID)
		if !errors.Is(err, ports.ErrUnprotectable) || errors.Is(err, ports.ErrUnreadable) || !got.Empty() {
			t.Fatalf("error %v, want ErrUnprotectable and nothing else", err)
		}
	}
	t.Run("any byte changed, it cannot be unprotected", func(t *testing.T) {
		wrapped := wrap(t)
		for n := range wrapped {
			for _, bits := range []byte{1, 0x80, 0xff} {
				changed := bytes.Clone(wrapped)
				changed[n] ^= bits
				refused(t, changed, purpose, uid(1))
			}
		}
	})
	t.Run("cut or lengthened, it cannot be unprotected", func(t *testing.T) {
		wrapped := wrap(t)
		for n := range wrapped {
			refused(t, wrapped[:n], purpose, uid(1))
		}
		refused(t, append(bytes.Clone(wrapped), 0), purpose, uid(1))
	})
	t.Run("for another purpose or machine it cannot be unprotected", func(t *testing.T) {
		wrapped := wrap(t)
		refused(t, wrapped, "pending", uid(1))
		refused(t, wrapped, purpose, uid(2))
		refused(t, wrapped, purpose, "")
		refused(t, wrapped, purpose+uid(1), "")
	})
	t.Run("the same secret is wrapped differently each time", func(t *testing.T) {
		if bytes.Equal(wrap(t), wrap(t)) {
			t.Error("two wrappings are equal")
		}
	})
	t.Run("the wrapping holds the secret in no encoding", func(t *testing.T) {
		if found := Reveals(wrap(t), key(1)); found != "" {
			t.Errorf("it holds the secret in %s", found)
		}
	})
	t.Run("no error holds the secret", func(t *testing.T) {
		wrapped := wrap(t)
		wrapped[len(wrapped)-1] ^= 1
		_, err := open().Unprotect(wrapped, purpose, uid(1))
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), key(1).Reveal()) {
			t.Error("an error holds the secret")
		}
	})
	t.Run("the protection is named", func(t *testing.T) {
		if name := open().Name(); name == "" || name == "file" {
			t.Errorf("Name() = %q", name)
		}
	})
}

// Reveals names the encoding in which data holds the secret or eight of its
// characters in a row; "" if there is none. Base64 is looked for at each of its
// three alignments.
func Reveals(data []byte, secret ports.Secret) string {
	text := secret.Reveal()
	for i := 0; i+8 <= len(text); i++ {
		part := text[i : i+8]
		var wide, wideBig []byte
		for _, unit := range utf16.Encode([]rune(part)) {
			wide = append(wide, byte(unit), byte(unit>>8))
			wideBig = append(wideBig, byte(unit>>8), byte(unit))
		}
		reversed := []byte(part)
		for a, b := 0, len(reversed)-1; a < b; a, b = a+1, b-1 {
			reversed[a], reversed[b] = reversed[b], reversed[a]
		}
		encodings := map[string][]byte{
			"UTF-8": []byte(part), "UTF-16": wide, "UTF-16 with the high byte first": wideBig, "reverse": reversed,
			"hex": []byte(hex.EncodeToString([]byte(part))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(part)))),
		}
		for shift := range 3 {
			// Eight bytes that stand at the shift share 6 to 9 whole characters.
			encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), part...))
			first, last := (shift*8+5)/6, (shift+len(part))*8/6
			encodings[fmt.Sprintf("base64 at %d", shift)] = []byte(encoded[first:last])
		}
		for name, encoded := range encodings {
			if bytes.Contains(data, encoded) {
				return name
			}
		}
	}
	return ""
}

// MemoryProtector is a ports.Protector that makes up its own key, so that each
// one is another machine. The suite is developed on it, and stores are tested
// with it on systems that have no protection of their own.
type MemoryProtector struct{ aead cipher.AEAD }

// NewMemoryProtector returns the protection of a new machine.
func NewMemoryProtector() *MemoryProtector {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // never with a key of 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // never with AES
	}
	return &MemoryProtector{aead}
}

// Name implements ports.Protector: the name of the protection that it stands for.
func (p *MemoryProtector) Name() string { return "dpapi" }

// Protect implements ports.Protector.
func (p *MemoryProtector) Protect(secret ports.Secret, purpose, machineUID string) ([]byte, error) {
	return p.aead.Seal(nil, nil, []byte(secret.Reveal()), bound(purpose, machineUID)), nil
}

// Unprotect implements ports.Protector.
func (p *MemoryProtector) Unprotect(wrapped []byte, purpose, machineUID string) (ports.Secret, error) {
	plain, err := p.aead.Open(nil, nil, wrapped, bound(purpose, machineUID))
	if err != nil {
		return ports.Secret{}, ports.ErrUnprotectable
	}
	return ports.NewSecret(string(plain)), nil
}

func bound(purpose, machineUID string) []byte {
	sum := sha256.Sum256([]byte(purpose + "\x00" + machineUID))
	return sum[:]
}
