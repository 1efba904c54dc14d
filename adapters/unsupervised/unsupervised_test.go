package unsupervised

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	contracttest.Supervisor(t, func(*testing.T) ports.Supervisor { return Supervisor{} })
}
