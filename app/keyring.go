package app

import (
	"sync"

	"github.com/muster-agent/muster/ports"
)

// keyring holds the API key in use, and wakes whoever waits for one. It is
// safe for concurrent use.
type keyring struct {
	mu      sync.Mutex
	key     ports.Secret
	changed chan struct{} // closed when key changes
}

func newKeyring() *keyring { return &keyring{changed: make(chan struct{})} }

// use makes key the one in use.
func (k *keyring) use(key ports.Secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key.Equal(key) {
		return
	}
	k.key = key
	close(k.changed)
	k.changed = make(chan struct{})
}

// current is the key in use, empty if there is none, and a channel that is
// closed when there is another.
func (k *keyring) current() (ports.Secret, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.key, k.changed
}
