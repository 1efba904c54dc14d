package contracttest_test

import (
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestMemoryProtector(t *testing.T) {
	t.Parallel()
	var p *contracttest.MemoryProtector = contracttest.NewMemoryProtector()
	contracttest.Protector(t, func() ports.Protector { return p })
}

// The search for a secret is worth something only if it finds one.
func TestRevealsFinds(t *testing.T) {
	t.Parallel()
	secret := ports.NewSecret("cak_0123456789abcdef")
	for name, data := range map[string]string{
		"plain": "xcak_0123456789abcdef", "a part": `"k_012345"`, "reverse": "fedcba9876543210_kac",
		"hex": hex.EncodeToString([]byte("#cak_0123456789abcdef")), "wide": "c\x00a\x00k\x00_\x000\x001\x002\x003\x00",
		"base64": base64.StdEncoding.EncodeToString([]byte("cak_0123456789abcdef")), "base64, 1": base64.StdEncoding.EncodeToString([]byte("#cak_0123456789abcdef")),
		"base64, 2": base64.RawURLEncoding.EncodeToString([]byte("##cak_0123456789abcdef")),
	} {
		if contracttest.Reveals([]byte(data), secret) == "" {
			t.Errorf("%s: the secret was not found", name)
		}
	}
	if name := contracttest.Reveals([]byte("another text altogether, 89abcde"), secret); name != "" {
		t.Errorf("found in %s what is not there", name)
	}
}
