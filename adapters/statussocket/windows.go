//go:build !unix

package statussocket

import (
	"context"
	"errors"

	"github.com/muster-agent/muster/ports"
)

// errNoPipe says what is missing on this platform.
var errNoPipe = errors.New("local status is not available on this platform yet: it comes with the Windows service (a named pipe)")

// Server is not available on this platform yet.
type Server struct{}

// NewServer prepares a server for a state directory.
func NewServer(string) *Server { return &Server{} }

// Serve implements ports.StatusServer: it waits until ctx is done.
func (s *Server) Serve(ctx context.Context, _ ports.LocalCalls) error {
	<-ctx.Done()
	return nil
}

// Client is not available on this platform yet.
type Client struct{}

// NewClient prepares a client for a state directory.
func NewClient(string) *Client { return &Client{} }

// Status implements ports.StatusClient.
func (c *Client) Status(context.Context) (ports.Status, error) {
	return ports.Status{}, errors.Join(ports.ErrNotAnswering, errNoPipe)
}

// RenewCertificates implements ports.StatusClient.
func (c *Client) RenewCertificates(context.Context) (ports.RenewResult, error) {
	return ports.RenewResult{}, errors.Join(ports.ErrNotAnswering, errNoPipe)
}
