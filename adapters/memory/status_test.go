package memory

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func TestStatusEndpoint(t *testing.T) {
	contracttest.LocalStatus(t, func(*testing.T) contracttest.LocalEndpoint {
		e := new(StatusEndpoint)
		return contracttest.LocalEndpoint{Server: e, Client: e, Forbidden: &StatusEndpoint{Forbidden: true}, Closed: &StatusEndpoint{Closed: true}}
	})
}
