//go:build linux || windows

package hwid

import (
	"context"
	"fmt"
	"time"

	"github.com/muster-agent/muster/ports"
)

// readTimeout is the limit that ports.SignalReader sets.
const readTimeout = 5 * time.Second

// bounded returns when read has ended, when ctx is done, or after the port's 5 s.
// A read that hangs, for instance on a device, is left behind.
func bounded(ctx context.Context, read func() ports.MachineSignals) (ports.MachineSignals, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	signals := make(chan ports.MachineSignals, 1)
	if ctx.Err() == nil {
		go func() { signals <- read() }()
	}
	select {
	case s := <-signals:
		return s, nil
	case <-ctx.Done():
		return ports.MachineSignals{}, fmt.Errorf("reading which machine this is (firmware, system disk, the system's own id): %w", ctx.Err())
	}
}
