// Package latest holds values that one part of the agent sets and others wait
// for.
package latest

import (
	"context"
	"sync"

	"github.com/muster-agent/muster/app/internal/wait"
)

// Value is a value and a channel that closes when it changes. It is safe for
// concurrent use.
type Value[T any] struct {
	mu      sync.Mutex
	value   T
	changed chan struct{}
}

// New returns a Value that holds initial.
func New[T any](initial T) *Value[T] {
	return &Value[T]{value: initial, changed: make(chan struct{})}
}

// Get is the present value, and a channel that is closed when there is another.
func (v *Value[T]) Get() (T, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.value, v.changed
}

// Update replaces the value by what change makes of it. Where change says that
// nothing changed, nobody is woken.
func (v *Value[T]) Update(change func(present T) (next T, changed bool)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	next, changed := change(v.value)
	if !changed {
		return
	}
	v.value = next
	close(v.changed)
	v.changed = make(chan struct{})
}

// Await returns the value as soon as it is wanted, or ctx's error.
func (v *Value[T]) Await(ctx context.Context, wanted func(T) bool) (T, error) {
	for {
		value, changed := v.Get()
		if wanted(value) {
			return value, ctx.Err()
		}
		if err := wait.For(ctx, changed); err != nil {
			return value, err
		}
	}
}
