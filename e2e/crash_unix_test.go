//go:build unix

package e2e

import "testing"

// There is no way to make it panic from outside; a fatal signal takes the same
// way out of the Go runtime.
func TestACrashLooksLikeNoExitCodeOfOurs(t *testing.T) {
	t.Parallel()
	for _, sig := range toCrash {
		for _, command := range []string{"run", "enroll"} {
			// A manager each, for it knows the hosts by their name.
			m := newHost(t, startManager(t, "--approve", "manual"))
			a := m.start(command)
			a.logged("enroll.attempt", 1)
			if code := first(a.signal(sig)); code >= 0 && code <= 2 {
				t.Errorf("%s: a crash by %v ends with %d", command, sig, code)
			}
			a.said("goroutine ")
		}
	}
}
