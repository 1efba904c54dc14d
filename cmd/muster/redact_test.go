package main

import (
	"testing"

	"github.com/matryer/is"
)

func TestWithoutKeys(t *testing.T) {
	is := is.New(t)
	is.Equal(withoutKeys(`unknown command "cek_abcDEF-123_x" for "muster", cak_y!`), `unknown command "[redacted]" for "muster", [redacted]!`)
	is.Equal(withoutKeys("cek_cak_abcdefgh"), "[redacted]")
	is.Equal(withoutKeys("a cek_"), "a [redacted]")
	is.Equal(withoutKeys("nothing"), "nothing")
}
