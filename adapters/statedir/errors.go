package statedir

import (
	"fmt"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// damage is what is wrong with a file that is not sound.
type damage struct {
	reason string
	kind   error // ports.ErrUnprotectable, or nil
}

func (e *damage) Error() string { return e.reason }

func (e *damage) Unwrap() error { return e.kind }

func damaged(path string, bad *damage) error {
	return fmt.Errorf("%s is %w: %w", path, ports.ErrDamaged, bad)
}

func notWritten(path string, err error) error {
	return fmt.Errorf("%s %w: %w%s", path, ports.ErrNotWritten, durable.Cause(err), writeAdvice(err))
}

func unreadable(path string, err error) error {
	return fmt.Errorf("%s %w: %w%s", path, ports.ErrUnreadable, durable.Cause(err), readAdvice(path, err))
}

func notErased(path string, err error) error {
	return fmt.Errorf("%s was not removed: its directory %w: %w%s", path, ports.ErrNotWritten, durable.Cause(err), writeAdvice(err))
}
