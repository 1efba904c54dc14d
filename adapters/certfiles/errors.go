package certfiles

import (
	"fmt"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

func notWritten(path string, err error) error {
	return fmt.Errorf("%s %w: %w%s", path, ports.ErrNotWritten, durable.Cause(err), advice(err))
}
