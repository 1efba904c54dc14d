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

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Client implements ports.StatusClient.
type Client struct{ dir string }

// NewClient asks the agent of a state directory.
func NewClient(dir string) *Client { return &Client{dir: dir} }

// Status implements ports.StatusClient.
func (c *Client) Status(ctx context.Context) (ports.Status, error) {
	line, err := c.ask(ctx, askStatus, answerWithin)
	if err != nil {
		return ports.Status{}, err
	}
	return Decode(line)
}

// RenewCertificates implements ports.StatusClient.
func (c *Client) RenewCertificates(ctx context.Context) (ports.RenewResult, error) {
	line, err := c.ask(ctx, askRenewal, renewWithin)
	if err != nil {
		return ports.RenewResult{}, err
	}
	return decodeRenewal(line)
}

// ask sends a question and reads the answer to its end.
func (c *Client) ask(ctx context.Context, question string, within time.Duration) ([]byte, error) {
	path := filepath.Join(c.dir, FileName)
	dialing, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var conn net.Conn
	err := throughShortPath(c.dir, func(dir string) error {
		var err error
		conn, err = new(net.Dialer).DialContext(dialing, "unix", filepath.Join(dir, FileName))
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("asking the agent at %s: %w", path, ports.ErrNeedsRights)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTSOCK), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("asking the agent at %s: %w", path, ports.ErrNotRunning)
	case err != nil:
		return nil, fmt.Errorf("asking the agent at %s: %w (%w)", path, ports.ErrNotAnswering, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the exchange
	defer stop()
	defer func() { _ = conn.Close() }() // read only: nothing is lost with it
	answer, err := exchange(conn, question, within)
	if err != nil {
		return nil, fmt.Errorf("asking the agent at %s: %w (%w)", path, ports.ErrNotAnswering, err)
	}
	return answer, nil
}

func exchange(conn net.Conn, question string, within time.Duration) ([]byte, error) {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, question); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err == nil && len(answer) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return answer, err
}
