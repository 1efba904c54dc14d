package memory

import (
	"context"
	"errors"
	"fmt"

	"github.com/muster-agent/muster/ports"
)

// Host implements ports.HostDescriber: it is the facts that it tells. Without an
// IPAddress, the host has no address that could be reported.
type Host ports.HostFacts

var _ ports.HostDescriber = Host{}

// Describe implements ports.HostDescriber.
func (h Host) Describe(ctx context.Context, _ string) (ports.HostFacts, error) {
	switch {
	case ctx.Err() != nil:
		return ports.HostFacts{}, fmt.Errorf("describing this host: %w", ctx.Err())
	case h.IPAddress == "":
		return ports.HostFacts{}, errors.New("this host has no address that could be reported: set MUSTER_REPORT_IP")
	}
	return ports.HostFacts(h), nil
}
