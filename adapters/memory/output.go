package memory

import (
	"bytes"
	"sync"
)

// Output is what an agent writes: its log, or what a command says. It may be
// read while the agent runs. The zero value is empty.
type Output struct {
	mu      sync.Mutex
	written bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written.Write(p)
}

// String is all that was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written.String()
}
