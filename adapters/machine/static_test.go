package machine

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func TestStaticContract(t *testing.T) {
	t.Parallel()
	for name, machine := range map[string]Static{
		"none": {},
		"some": {SystemUUID: ports.PresentSignal(uuid26), DiskSerial: ports.UnreadableSignal(), Virtual: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contracttest.SignalReader(t, func(*testing.T) ports.SignalReader { return machine })
		})
	}
}
