//go:build unix

package statussocket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"syscall"

	"github.com/muster-agent/muster/ports"
)

// endpoint is the socket of a state directory.
func endpoint(dir string) string { return filepath.Join(dir, FileName) }

// dial connects to the agent; its errors are of the port's kinds.
func dial(ctx context.Context, dir string) (conn net.Conn, err error) {
	err = throughShortPath(dir, func(dir string) error {
		var err error
		conn, err = new(net.Dialer).DialContext(ctx, "unix", endpoint(dir))
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, ports.ErrForbidden
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTSOCK), errors.Is(err, syscall.ENOTDIR):
		return nil, ports.ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("%w (%w)", ports.ErrNotAnswering, err)
	}
	return conn, nil
}
