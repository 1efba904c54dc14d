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

// failures makes errors that hold neither the key nor the URL that it rides in.
// They wrap nothing but a context's error, because what the libraries return
// holds both.
type failures struct {
	doing    string // with the relay's host
	key      ports.Secret
	describe func(error) string
}

func (f failures) failed(ctx context.Context, err error) error {
	if code := websocket.CloseStatus(err); code != -1 {
		return f.fail(ctx, fmt.Sprintf("the relay closed it (code %d)", code))
	}
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return f.fail(ctx, "the relay sent a frame of more than 64 KiB")
	}
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	return f.fail(ctx, f.describe(err))
}

func (f failures) fail(ctx context.Context, reason string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", f.doing, ctx.Err())
	}
	return fmt.Errorf("%s: %s", f.doing, redact.Secrets(reason, f.key))
}
