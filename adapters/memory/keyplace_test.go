package memory

import (
	"fmt"
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestEnrollmentKeyPlace(t *testing.T) {
	t.Parallel()
	place := func(fault error) func(*testing.T) contracttest.KeyPlace {
		return func(*testing.T) contracttest.KeyPlace {
			k := new(KeyPlace)
			k.Inject(fault)
			return contracttest.KeyPlace{Place: k, Present: k.Present}
		}
	}
	type places = map[string]func(*testing.T) contracttest.KeyPlace
	contracttest.EnrollmentKeyPlace(t, places{"in memory": place(nil)},
		places{"with a fault": place(fmt.Errorf("%w: it is carved in stone", ports.ErrNotRemovable))})
}
