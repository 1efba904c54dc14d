package envconfig

import (
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestWithoutKeys(t *testing.T) {
	is := is.New(t)
	is.Equal(WithoutKeys(`unknown command "cek_abcDEF-123_x" for "muster", cak_y!`), `unknown command "[redacted]" for "muster", [redacted]!`)
	is.Equal(WithoutKeys("cek_cak_abcdefgh"), "[redacted]")
	for _, same := range []string{"a cek_", "a cak_", "does not begin with cek_ like every key", `begins with "cek_".`, "cek_\nx", "cek_, or cak_."} {
		is.Equal(WithoutKeys(same), same) // a prefix alone gives nothing away
	}
	for _, key := range []string{"cek_.x", `cek_"x`, "cek_/x", "cek_cek_x", "cek__", "cek_-", "cek_cek_", "cek_)x"} {
		is.True(strings.HasPrefix(WithoutKeys(key), "[redacted]"))
	}
	is.Equal(WithoutKeys("nothing"), "nothing")
}
