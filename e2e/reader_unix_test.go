//go:build unix

package e2e

import (
	"os"
	"testing"

	"github.com/matryer/is"
)

// As in `muster enroll | true`.
func TestAnEnrollmentOutlivesWhoReadsAboutIt(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	m := newMachine(t, s)
	r, w, err := os.Pipe()
	is.NoErr(err)
	is.NoErr(r.Close())
	cmd := m.command(t.Context(), "enroll")
	cmd.Stdout, cmd.Stderr = w, w
	is.NoErr(cmd.Run())
	is.NoErr(w.Close())
	is.Equal(s.enrollments(), 1)
	is.True(len(m.read(credentialFile)) > 0)
}
