package statussocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/ports"
)

// Serve implements ports.StatusServer. It fails if there is a pipe of that name
// already, whoever made it: it answers nobody else's callers, and nobody else
// answers its own.
func (s *Server) Serve(ctx context.Context, calls ports.LocalCalls) error {
	if ctx.Err() != nil {
		return nil
	}
	name := endpoint(s.dir)
	free, err := newEnd(name, windows.FILE_FLAG_FIRST_PIPE_INSTANCE)
	if err != nil {
		return fmt.Errorf("opening %s for `muster status`: %w", name, err)
	}
	var callers sync.WaitGroup
	defer callers.Wait()
	for {
		err := connected(ctx, free)
		if ctx.Err() != nil {
			return windows.CloseHandle(free)
		}
		if err != nil {
			return fmt.Errorf("answering at %s: %w", name, errors.Join(err, windows.CloseHandle(free)))
		}
		taken := free
		// The next end is made before the taken one can be closed: without any
		// end there would be no pipe, as if no agent ran.
		free, err = newEnd(name, 0)
		if err != nil {
			return fmt.Errorf("answering at %s: %w", name, errors.Join(err, windows.CloseHandle(taken)))
		}
		caller := os.NewFile(uintptr(taken), name)
		callers.Go(func() {
			defer func() { _ = caller.Close() }() // there is nobody to tell
			answer(ctx, caller, calls)
			linger(caller)
		})
	}
}

// newEnd makes a server's end of the pipe. Nobody reaches it from another machine.
func newEnd(name string, first uint32) (windows.Handle, error) {
	sa, err := attributes()
	if err != nil {
		return 0, err
	}
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, err
	}
	const buffer = 4 << 10 // in bytes; a status has about 1 KiB
	return windows.CreateNamedPipe(path, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|first,
		windows.PIPE_TYPE_BYTE|windows.PIPE_READMODE_BYTE|windows.PIPE_REJECT_REMOTE_CLIENTS, windows.PIPE_UNLIMITED_INSTANCES, buffer, buffer, 0, sa)
}

// connected waits for a caller until ctx is done. A caller who has gone again
// counts too: the answer then finds nobody.
func connected(ctx context.Context, pipe windows.Handle) error {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(event) // nothing depends on it any more
	waiting := &windows.Overlapped{HEvent: event}
	defer runtime.KeepAlive(waiting)
	err = windows.ConnectNamedPipe(pipe, waiting)
	if errors.Is(err, windows.ERROR_IO_PENDING) {
		stop := context.AfterFunc(ctx, func() { _ = windows.CancelIoEx(pipe, waiting) }) // fails if a caller has just come
		var n uint32
		err = windows.GetOverlappedResult(pipe, waiting, &n, true)
		stop()
	}
	if errors.Is(err, windows.ERROR_PIPE_CONNECTED) || errors.Is(err, windows.ERROR_NO_DATA) {
		return nil
	}
	return err
}

// linger gives the caller time to read the answer: what has not been read when the
// server closes its end is lost.
func linger(caller conn) {
	if caller.SetDeadline(time.Now().Add(answerWithin)) == nil {
		_, _ = io.Copy(io.Discard, caller) // until the caller closes its end
	}
}
