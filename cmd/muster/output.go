package main

import (
	"io"
	"sync"
)

// output is standard output, where results go. What cannot be written stops
// nothing that is under way, an enrollment least of all: it is remembered, and
// makes the end an error where what is printed is the result. It is safe for
// concurrent use.
type output struct {
	to io.Writer

	mu  sync.Mutex
	err error
}

// Write implements io.Writer. It never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		_, o.err = o.to.Write(p)
	}
	return len(p), nil
}

// failed is why something could not be written; nil if all was.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
