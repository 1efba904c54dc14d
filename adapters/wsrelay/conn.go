package wsrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/coder/websocket"

	"github.com/muster-agent/muster/ports"
)

// Conn implements ports.RelayConn.
type Conn struct {
	ws         *websocket.Conn
	raw        io.Closer // the connection under ws
	serverTime time.Time
	failures   failures
}

var _ ports.RelayConn = (*Conn)(nil)

// Send implements ports.RelayConn.
func (c *Conn) Send(ctx context.Context, status ports.AgentStatus) error {
	if err := c.ws.Write(ctx, websocket.MessageText, encodeStatus(status)); err != nil {
		return c.failures.failed(ctx, err)
	}
	return nil
}

// Receive implements ports.RelayConn. The end of ctx ends the connection.
func (c *Conn) Receive(ctx context.Context) (ports.RelayFrame, error) {
	kind, data, err := c.ws.Read(ctx)
	if err != nil {
		// The library leaves a connection open that it can no longer read
		// from; a ping on it would wait in vain.
		_ = c.ws.CloseNow() // the first error is the one to tell
		return ports.RelayFrame{}, c.failures.failed(ctx, err)
	}
	if kind != websocket.MessageText {
		return ports.RelayFrame{}, nil
	}
	return decodeFrame(data), nil
}

// Ping implements ports.RelayConn.
func (c *Conn) Ping(ctx context.Context) error {
	err := c.ws.Ping(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: no pong came: %w", c.failures.doing, ctx.Err())
	}
	return c.failures.failed(ctx, err)
}

// Close implements ports.RelayConn. It waits for the peer for 5 s at most,
// whatever ctx allows.
func (c *Conn) Close(ctx context.Context) error {
	cut := context.AfterFunc(ctx, func() {
		_ = c.raw.Close() // it fails the reads and writes of ws, whose errors are told
	})
	err := c.ws.Close(websocket.StatusNormalClosure, "")
	inTime := cut()
	switch {
	case errors.Is(err, net.ErrClosed): // it had ended before
		return nil
	case !inTime:
		return fmt.Errorf("%s: the close was not confirmed: %w", c.failures.doing, ctx.Err())
	case err == nil, websocket.CloseStatus(err) != -1: // a peer may answer with another code
		return nil
	}
	return c.failures.failed(ctx, err)
}

// ServerTime implements ports.RelayConn.
func (c *Conn) ServerTime() time.Time { return c.serverTime }
