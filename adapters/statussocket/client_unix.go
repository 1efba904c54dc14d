//go:build unix

package statussocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/muster-agent/muster/ports"
)

// maxStatus bounds what is read of an answer, in bytes.
const maxStatus = 1 << 20

// Client implements ports.StatusClient.
type Client struct{ dir string }

// NewClient asks the agent of a state directory.
func NewClient(dir string) *Client { return &Client{dir: dir} }

// Status implements ports.StatusClient.
func (c *Client) Status(ctx context.Context) (ports.Status, error) {
	path := filepath.Join(c.dir, FileName)
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var conn net.Conn
	err := throughShortPath(c.dir, func(dir string) error {
		var err error
		conn, err = new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, FileName))
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ports.Status{}, fmt.Errorf("asking the agent at %s: %w", path, ports.ErrNeedsRights)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTSOCK), errors.Is(err, syscall.ENOTDIR):
		return ports.Status{}, fmt.Errorf("asking the agent at %s: %w", path, ports.ErrNotRunning)
	case err != nil:
		return ports.Status{}, fmt.Errorf("asking the agent at %s: %w (%w)", path, ports.ErrNotAnswering, err)
	}
	defer func() { _ = conn.Close() }() // read only: nothing is lost with it
	line, err := ask(ctx, conn)
	if err != nil {
		return ports.Status{}, fmt.Errorf("asking the agent at %s: %w (%w)", path, ports.ErrNotAnswering, err)
	}
	return Decode(line)
}

func ask(ctx context.Context, conn net.Conn) ([]byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(answerWithin)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, askStatus); err != nil {
		return nil, err
	}
	line, err := io.ReadAll(io.LimitReader(conn, maxStatus))
	if err == nil && len(line) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return line, err
}
