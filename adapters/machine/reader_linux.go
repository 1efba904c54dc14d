package machine

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/muster-agent/muster/ports"
)

// readTimeout is the port's promise.
const readTimeout = 5 * time.Second

// Reader reads the signals of a Linux machine.
type Reader struct{ tree tree }

// New returns a reader of the machine whose file system is at root: "/", or a
// directory with a tree that looks like it.
func New(root string) *Reader { return &Reader{tree{os.DirFS(root)}} }

// Read implements [ports.SignalReader]. In a container it reads machine-id
// alone; Virtual is then false, since what tells it is the host's too.
//
// It reads files of the kernel, which answer at once but for a device that
// hangs; then it returns when ctx or its 5 s are over and leaves the read
// behind.
func (r *Reader) Read(ctx context.Context) (ports.MachineSignals, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	read := make(chan ports.MachineSignals, 1)
	if ctx.Err() == nil {
		go func() { read <- r.tree.signals() }()
	}
	select {
	case signals := <-read:
		return signals, nil
	case <-ctx.Done():
		return ports.MachineSignals{}, fmt.Errorf("reading which machine this is (firmware, root disk, machine-id): %w", ctx.Err())
	}
}
