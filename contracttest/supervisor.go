package contracttest

import (
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// Supervisor is the suite of ports.Supervisor.
func Supervisor(t *testing.T, fresh func(*testing.T) ports.Supervisor) {
	names(t, "Supervisor")
	t.Run("a whole life is told without an error", func(t *testing.T) {
		is := is.New(t)
		s := fresh(t)
		is.NoErr(s.Ready())
		is.NoErr(s.Status("waiting for an operator's approval since 10:04, next check in 58 s"))
		is.NoErr(s.Alive())
		is.NoErr(s.Reloading())
		is.NoErr(s.Ready())
		is.NoErr(s.Stopping())
	})
	t.Run("nothing is waited for", func(t *testing.T) {
		s := fresh(t)
		quickly(t, 5*time.Second, func() time.Duration {
			began := time.Now()
			for range 10 { // what a socket's queue holds while nobody reads it
				if err := s.Status("busy"); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(began)
		})
	})
	t.Run("the watchdog's interval is not negative", func(t *testing.T) {
		is.New(t).True(fresh(t).WatchdogInterval() >= 0)
	})
}
