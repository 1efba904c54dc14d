package hwid

import (
	"context"
	"os"

	"github.com/muster-agent/muster/ports"
)

// Reader reads the signals of a Linux machine.
type Reader struct{ tree tree }

// New returns a reader of the machine whose file system is at root: "/", or a
// directory with a tree that looks like it.
func New(root string) *Reader { return &Reader{tree{os.DirFS(root)}} }

// Read implements [ports.SignalReader]. In a container it reads machine-id alone;
// Virtual is then false, since its signs are the host's too.
//
// It reads files of the kernel, which answer at once unless a device hangs. Then
// Read returns when ctx is done or its 5 s are over, and leaves the read behind.
func (r *Reader) Read(ctx context.Context) (ports.MachineSignals, error) {
	return bounded(ctx, r.tree.signals)
}
