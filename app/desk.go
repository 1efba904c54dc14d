package app

import (
	"context"
	"sync"
)

// demand says why an enrollment is asked for, in order of urgency.
type demand int

const (
	// nobody asks.
	noDemand demand = iota
	// onceInAWhile: the relay has refused the key for long without saying why:
	// one try per operator wait, beside trying the key.
	onceInAWhile
	// untilStored: the server says that it does not know the key.
	untilStored
	// ordered: there is no key for what is configured, or somebody asked for
	// another; that the present one works does not take it back.
	ordered
)

// desk is where the agent's parts ask for a site enrollment. It is safe for
// concurrent use.
type desk struct {
	mu      sync.Mutex
	demand  demand
	changed chan struct{} // closed when demand changes
}

func newDesk() *desk { return &desk{changed: make(chan struct{})} }

// ask makes a demand unless a more urgent one stands.
func (d *desk) ask(wanted demand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if wanted > d.demand {
		d.set(wanted)
	}
}

// withdraw takes every demand back.
func (d *desk) withdraw() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.demand != noDemand {
		d.set(noDemand)
	}
}

// withdrawUnlessOrdered takes back what the relay's refusals asked for: it
// accepts the key after all.
func (d *desk) withdrawUnlessOrdered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.demand != noDemand && d.demand < ordered {
		d.set(noDemand)
	}
}

// set changes the demand. The caller holds mu.
func (d *desk) set(to demand) {
	d.demand = to
	close(d.changed)
	d.changed = make(chan struct{})
}

// standing is the present demand and a channel that is closed when it changes.
func (d *desk) standing() (demand, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.demand, d.changed
}

// await returns the demand as soon as there is one, or ctx's error.
func (d *desk) await(ctx context.Context) (demand, error) {
	for {
		standing, changed := d.standing()
		if standing != noDemand {
			return standing, ctx.Err()
		}
		resume := resting(ctx)
		select {
		case <-ctx.Done():
			return noDemand, ctx.Err()
		case <-changed:
		}
		resume()
	}
}
