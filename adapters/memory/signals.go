package memory

import (
	"context"

	"github.com/muster-agent/muster/ports"
)

// Signals implements ports.SignalReader: it is the signals that it tells. The zero
// value is a host without any.
type Signals ports.MachineSignals

var _ ports.SignalReader = Signals{}

// Read implements ports.SignalReader.
func (s Signals) Read(ctx context.Context) (ports.MachineSignals, error) {
	if err := ctx.Err(); err != nil {
		return ports.MachineSignals{}, err
	}
	return ports.MachineSignals(s), nil
}
