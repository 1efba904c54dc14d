package machine

import (
	"context"

	"github.com/muster-agent/muster/ports"
)

// Static is a reader of signals that were given, for tests and
// demonstrations. The zero value is a machine without any.
type Static ports.MachineSignals

// Read implements [ports.SignalReader].
func (s Static) Read(ctx context.Context) (ports.MachineSignals, error) {
	if err := ctx.Err(); err != nil {
		return ports.MachineSignals{}, err
	}
	return ports.MachineSignals(s), nil
}
