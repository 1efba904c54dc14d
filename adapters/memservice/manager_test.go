package memservice_test

import (
	"testing"

	"github.com/muster-agent/muster/adapters/memservice"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.ServiceManager(t, contracttest.ServiceMachines{
		Fresh:         func(*testing.T) ports.ServiceManager { return new(memservice.Manager) },
		Broken:        func(*testing.T) ports.ServiceManager { return &memservice.Manager{Broken: true} },
		Packaged:      func(*testing.T) ports.ServiceManager { return &memservice.Manager{Packaged: true} },
		WithoutRights: func(*testing.T) ports.ServiceManager { return &memservice.Manager{NoRights: true} },
		Without:       func(*testing.T) ports.ServiceManager { return &memservice.Manager{Absent: true} },
	})
}
