package issue

import "sync"

// RenewWanted is where a look at the certificate is asked for at once. It is
// safe for concurrent use.
type RenewWanted struct {
	wake chan struct{} // has room for one

	mu    sync.Mutex
	force bool
	asked []chan<- Result
}

// NewRenewWanted returns one that nobody has asked.
func NewRenewWanted() *RenewWanted { return &RenewWanted{wake: make(chan struct{}, 1)} }

// Ask has the certificate looked at now, and with force renewed although it is
// not due. answer, unless nil, gets the result; it must have room for it.
func (w *RenewWanted) Ask(force bool, answer chan<- Result) {
	w.mu.Lock()
	w.force = w.force || force
	if answer != nil {
		w.asked = append(w.asked, answer)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}

// take returns what was asked since the last call.
func (w *RenewWanted) take() (force bool, asked []chan<- Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	force, asked = w.force, w.asked
	w.force, w.asked = false, nil
	return force, asked
}
