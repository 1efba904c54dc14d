//go:build !dev

package transport

import (
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestNoInsecureTLS(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	_, err := New(Options{DevInsecureTLS: true})
	is.True(err != nil) // not in this build
	is.True(strings.Contains(err.Error(), "MUSTER_DEV_INSECURE_TLS"))
}
