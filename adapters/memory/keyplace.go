package memory

import (
	"context"
	"sync"
)

// KeyPlace is a place of an enrollment key in memory. It implements
// ports.EnrollmentKeyPlace. The zero value holds a key.
type KeyPlace struct {
	mu        sync.Mutex
	forgotten bool
	fault     error
}

// Inject has Forget answer with fault, which should be of kind
// ports.ErrNotRemovable, instead of doing its work; nil heals it.
func (k *KeyPlace) Inject(fault error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fault = fault
}

// Present reports whether the key is still there.
func (k *KeyPlace) Present() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.forgotten
}

// Forget implements ports.EnrollmentKeyPlace.
func (k *KeyPlace) Forget(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fault != nil {
		return k.fault
	}
	k.forgotten = true
	return nil
}
