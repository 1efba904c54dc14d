package statussocket

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/ports"
)

// busyPause is the wait before another look at a pipe whose free end another
// caller took: its server opens the next one at once.
const busyPause = 5 * time.Millisecond

// dial connects to the agent; its errors are of the port's kinds.
func dial(ctx context.Context, dir string) (conn, error) {
	name, err := windows.UTF16PtrFromString(endpoint(dir))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ports.ErrNotAnswering, err)
	}
	for {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w (%w)", ports.ErrNotAnswering, ctx.Err())
		}
		// Without SECURITY_ANONYMOUS the server could act as its caller.
		pipe, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
		switch {
		case err == nil:
			return ofAnAgent(pipe, endpoint(dir))
		case errors.Is(err, windows.ERROR_PIPE_BUSY):
			select {
			case <-ctx.Done():
			case <-time.After(busyPause):
			}
		case errors.Is(err, windows.ERROR_ACCESS_DENIED):
			return nil, fmt.Errorf("%w: ask from an administrator's prompt", ports.ErrForbidden)
		case errors.Is(err, windows.ERROR_FILE_NOT_FOUND):
			return nil, ports.ErrNotRunning
		default:
			return nil, fmt.Errorf("%w (%w)", ports.ErrNotAnswering, err)
		}
	}
}

// ofAnAgent returns the pipe if an agent serves it; otherwise it closes the pipe
// and fails.
func ofAnAgent(pipe windows.Handle, name string) (conn, error) {
	sd, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err == nil && !anAgents(sd) {
		err = errors.New("the pipe's owner is neither SYSTEM nor Administrators: it is not an agent that serves it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ports.ErrNotAnswering, errors.Join(err, windows.CloseHandle(pipe)))
	}
	return os.NewFile(uintptr(pipe), name), nil
}
