package e2e

import (
	"testing"
	"time"

	"github.com/matryer/is"
)

// It is measured how fast the agent ends, so this test runs before all that run
// beside each other.
func TestToldToStopItEndsWithinASecond(t *testing.T) {
	for name, test := range map[string]struct {
		set   func(s *server, m *machine)
		ready func(t *testing.T, s *server, a *agent)
	}{
		"while it waits for an operator's decision": {
			func(s *server, _ *machine) { s.fault(enrollPath, 0, action{Status: 202}) },
			func(_ *testing.T, _ *server, a *agent) { a.logged("enroll.pending", 1) },
		},
		"while an enrollment hangs": {
			func(s *server, _ *machine) { s.fault(enrollPath, 0, action{Delay: "1h"}) },
			func(_ *testing.T, s *server, _ *agent) { s.asked(enrollPath, 1) },
		},
		"while it is connected": {
			func(*server, *machine) {},
			func(_ *testing.T, _ *server, a *agent) { a.connected() },
		},
		"while it waits for another process's enrollment": {
			func(s *server, m *machine) {
				s.fault(enrollPath, 0, action{Status: 202})
				m.start("enroll").said("operator")
			},
			func(_ *testing.T, _ *server, a *agent) { a.logged("lock", 1) },
		},
	} {
		for _, sig := range toStop {
			t.Run(name+", "+sig.String(), func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				quickly(t, time.Second, func() time.Duration {
					s := startServer(t)
					m := newMachine(t, s)
					m.shippedDelays()
					test.set(s, m)
					a := m.start()
					test.ready(t, s, a)
					code, took := a.signal(sig)
					is.Equal(code, 0)
					a.logged("stopping", 1)
					return took
				})
			})
		}
	}
}
