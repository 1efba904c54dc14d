package memory

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func TestProcessLock(t *testing.T) {
	contracttest.ProcessLock(t, func(*testing.T) func() *Lock {
		d := new(Disk)
		return func() *Lock { return OpenLock(d) }
	})
}
