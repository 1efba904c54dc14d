package statussocket

import (
	"context"
	"fmt"
	"time"

	"github.com/muster-agent/muster/ports"
)

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

// ask sends a question and reads the answer.
func (c *Client) ask(ctx context.Context, question string, within time.Duration) ([]byte, error) {
	dialing, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := dial(dialing, c.dir)
	if err != nil {
		return nil, fmt.Errorf("asking the agent at %s: %w", endpoint(c.dir), err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the exchange
	defer stop()
	defer func() { _ = conn.Close() }() // read only: nothing is lost with it
	answer, err := exchange(conn, question, within)
	if err != nil {
		return nil, fmt.Errorf("asking the agent at %s: %w (%w)", endpoint(c.dir), ports.ErrNotAnswering, err)
	}
	return answer, nil
}
