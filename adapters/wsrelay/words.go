package wsrelay

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/coder/websocket"

	"github.com/muster-agent/muster/adapters/internal/redact"
	"github.com/muster-agent/muster/ports"
)

// words makes errors that hold neither the key nor the URL that it rides in.
// They wrap nothing but a context's error, because what the libraries return
// holds both.
type words struct {
	doing    string // with the relay's host
	key      ports.Secret
	describe func(error) string
}

func (w words) failed(ctx context.Context, err error) error {
	if code := websocket.CloseStatus(err); code != -1 {
		return w.fail(ctx, fmt.Sprintf("the relay closed it (code %d)", code))
	}
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return w.fail(ctx, "the relay sent a frame of more than 64 KiB")
	}
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	return w.fail(ctx, w.describe(err))
}

func (w words) fail(ctx context.Context, reason string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", w.doing, ctx.Err())
	}
	return fmt.Errorf("%s: %s", w.doing, redact.Secrets(reason, w.key))
}
