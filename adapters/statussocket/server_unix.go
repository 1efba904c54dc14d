//go:build unix

package statussocket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// Serve implements ports.StatusServer. A Server that was killed leaves its
// socket file behind, which the next one replaces.
func (s *Server) Serve(ctx context.Context, calls ports.LocalCalls) error {
	path := endpoint(s.dir)
	listener, err := s.listen(path)
	if err != nil {
		return fmt.Errorf("opening %s for `muster status`: %w", path, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // ends Accept; a second close has nothing to say
	defer stop()
	defer func() { _ = os.Remove(path) }() // one that stays is replaced by the next server

	var callers sync.WaitGroup
	defer callers.Wait()
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			callers.Go(func() {
				defer func() { _ = conn.Close() }()
				answer(ctx, conn, calls)
			})
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return nil
		default:
			_ = listener.Close() // the error that matters is Accept's
			return fmt.Errorf("answering at %s: %w", path, err)
		}
	}
}

// exists is asked after a failed removal: a read-only file system refuses to
// remove even what is not there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (s *Server) listen(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && exists(path) {
		// Not a socket: a directory that holds something, say.
		aside, err := new(durable.Disk).SetAside(path)
		if aside == "" { // an error beside a name says that a crash may undo it: then it is set aside again
			return nil, err
		}
	}
	var listener *net.UnixListener
	err := throughShortPath(s.dir, func(dir string) error {
		var err error
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, FileName), Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // Serve removes it by its own path
	// The directory keeps others out already; this is for one that does not.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}
