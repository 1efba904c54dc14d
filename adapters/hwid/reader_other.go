//go:build !linux && !windows

package hwid

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/muster-agent/muster/ports"
)

// Reader stands for this machine, whose signals cannot be read yet.
type Reader struct{}

// New returns a reader; its parameter has no meaning here.
func New(string) *Reader { return &Reader{} }

// Read always fails, with an error of kind [errors.ErrUnsupported]: signals
// that are not read are not absent, and a machine that enrolled without them
// would enroll a second time once they are.
func (*Reader) Read(ctx context.Context) (ports.MachineSignals, error) {
	if err := ctx.Err(); err != nil {
		return ports.MachineSignals{}, err
	}
	return ports.MachineSignals{}, fmt.Errorf("machine signals are not read on %s yet: set MUSTER_MACHINE_UID (%w)", runtime.GOOS, errors.ErrUnsupported)
}
