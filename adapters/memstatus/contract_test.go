package memstatus

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func TestContract(t *testing.T) {
	contracttest.LocalStatus(t, func(*testing.T) contracttest.LocalEndpoint {
		e := new(Endpoint)
		return contracttest.LocalEndpoint{Server: e, Client: e, Forbidden: &Endpoint{Forbidden: true}, Closed: &Endpoint{Closed: true}}
	})
}
