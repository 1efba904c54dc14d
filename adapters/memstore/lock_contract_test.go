package memstore

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func TestProcessLock(t *testing.T) {
	contracttest.ProcessLock(t, func(*testing.T) func() *Lock {
		p := new(Place)
		return func() *Lock { return OpenLock(p) }
	})
}
