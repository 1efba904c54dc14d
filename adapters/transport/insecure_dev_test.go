//go:build dev

package transport

import (
	"testing"

	"github.com/matryer/is"
)

func TestInsecureTLS(t *testing.T) {
	t.Parallel()
	server := serve(t, presenting(issue(t, "leaf", identity{}, expired)))
	is.New(t).NoErr(get(t, Options{DevInsecureTLS: true, TrustSPKISHA256: [][32]byte{{1}}}, server.URL))
}
