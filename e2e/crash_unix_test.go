//go:build unix

package e2e

import (
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
			is.True(ok && status.Signaled() && !status.CoreDump())
			a.said("goroutine ")
			is.True(!strings.Contains(a.log.String(), "cak_"))
		})
	}
}
