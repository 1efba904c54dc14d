package memory

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestService(t *testing.T) {
	t.Parallel()
	contracttest.ServiceManager(t, contracttest.ServiceMachines{
		Fresh:         func(*testing.T) ports.ServiceManager { return new(Service) },
		Broken:        func(*testing.T) ports.ServiceManager { return &Service{Broken: true} },
		Packaged:      func(*testing.T) ports.ServiceManager { return &Service{Packaged: true} },
		WithoutRights: func(*testing.T) ports.ServiceManager { return &Service{NoRights: true} },
		Without:       func(*testing.T) ports.ServiceManager { return &Service{Absent: true} },
	})
}
