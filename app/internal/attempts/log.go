package attempts

import (
	"context"
	"errors"
	"log/slog"

	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// LogAttrs are the attributes of a line about a wait.
func LogAttrs(e ports.Event, p retry.Pause) []any {
	return []any{e.Attr(), slog.Duration("wait", p.Wait), slog.String("class", string(p.Class)), slog.Int("attempt", p.Attempt)}
}

// LogHeldBack says that a process that has just begun waits, because of what an
// earlier one met.
func LogHeldBack(log *slog.Logger, e ports.Event, server string, p retry.Pause) {
	log.Info(server+" is asked again only after a while, because of what the agent met before it was started", LogAttrs(e, p)...)
}

// LogUnsaved logs that a note could not be written: the work goes on all the
// same, because a machine with an identity keeps it even when its disk is full.
func LogUnsaved(log *slog.Logger, e ports.Event, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Debug(err.Error(), e.Attr())
	}
}
