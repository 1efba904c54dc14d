//go:build unix

package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

// Go's own exit code for these is 2. There is no way to make it panic from
// outside; a fatal signal takes the same way out of the Go runtime.
func TestACrashDoesNotLookLikeAnExitCode(t *testing.T) {
	t.Parallel()
	for _, sig := range toCrash {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			m := newMachine(t, startServer(t))
			a := m.start().connected()
			is.Equal(first(a.signal(sig)), -1)
			status, ok := a.cmd.ProcessState.Sys().(syscall.WaitStatus)
			is.True(ok && status.Signaled() && !status.CoreDump()) // ended by the signal, without a core file
			a.said("goroutine ")
			is.True(!strings.Contains(a.log.String(), "cak_"))
		})
	}
}

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
	is.True(len(m.read(credentialFile)) > 0) // there is a key
}
