package memory

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestSignals(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]Signals{
		"none": {},
		"some": {SystemUUID: ports.PresentSignal("7b2e1d9c-4a5f-4c3b-9e8d-1f2a3b4c5d6e"), DiskSerial: ports.UnreadableSignal(), Virtual: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contracttest.SignalReader(t, func(*testing.T) ports.SignalReader { return host })
		})
	}
}
