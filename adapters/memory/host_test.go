package memory

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestHost(t *testing.T) {
	t.Parallel()
	facts := Host{Hostname: "web-3", FQDN: "web-3.example.org", IPAddress: "2001:db8::7", OS: ports.OSDetails{Name: "debian"}}
	contracttest.HostDescriber(t,
		func(*testing.T) ports.HostDescriber { return facts },
		func(*testing.T) ports.HostDescriber { return Host{Hostname: "web-3"} })
}
