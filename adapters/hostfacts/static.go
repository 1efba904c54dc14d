package hostfacts

import (
	"context"
	"errors"
	"fmt"

	"github.com/muster-agent/muster/ports"
)

// Static is a describer of a host that was given, for tests and
// demonstrations. One without an address has none that could be reported.
type Static ports.HostFacts

var _ ports.HostDescriber = Static{}

// Describe implements ports.HostDescriber.
func (s Static) Describe(ctx context.Context, _ string) (ports.HostFacts, error) {
	switch {
	case ctx.Err() != nil:
		return ports.HostFacts{}, fmt.Errorf("describing this host: %w", ctx.Err())
	case s.IPAddress == "":
		return ports.HostFacts{}, errors.New("this host has no address that could be reported: set MUSTER_REPORT_IP")
	}
	return ports.HostFacts(s), nil
}
