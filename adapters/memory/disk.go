package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/muster-agent/muster/ports"
)

// Disk is what survives a restart, as a disk does: what statedir, certfiles and
// processlock keep there. The zero value is empty and ready for use; it must not
// be copied.
type Disk struct {
	mu       sync.Mutex
	faults   Faults
	kept     map[Record]any // a clone, or damage
	rejected []ports.ReceivedBundle
	// certificates are the present files, previous those that are kept; nil
	// for none.
	certificates, previous *ports.FoundSet
	damagedFiles           map[string][]ports.Secret // by path: what was set aside, the oldest first
	setAside               int
	holder                 *ports.LockedError
}

// damage is what is left of a record on a failing disk.
type damage struct{}

// Faults are the errors with which everything that is opened over the disk answers
// instead of doing its work, until they are taken back. What is stored stays as it
// is. Each should be of a kind that the port names, such as ports.ErrUnreadable.
// (For damage, see Disk.Damage.)
type Faults struct {
	Load, Reserve, Save        error // of the credential
	LoadIdentity, SaveIdentity error
	LoadRetries, SaveRetries   error

	LoadPending, SavePending                           error
	LoadKey, SaveKey, EraseKey                         error
	ReserveBundle, LoadBundle, SaveBundle, EraseBundle error
	RejectBundle                                       error

	SetDamagedAside                                      error // of the certificate files
	KeepPrevious, Install, RestorePrevious, DropPrevious error
	InstallCRL, Erase                                    error
	// InstallMixture: Install replaces the CA and the certificate, and answers
	// with it before the key and the revocation list.
	InstallMixture error

	SetAside         error
	RemoveEnrollment error
	TryLock          error
	Protection       string // what Store.Protection says; "file" if empty
}

// Inject replaces the faults; Inject(Faults{}) heals the disk.
func (d *Disk) Inject(f Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

// Record names one thing that is kept.
type Record string

// The records.
const (
	Credential Record = "credential"
	Identity   Record = "identity"
	Retries    Record = "retries"
	Pending    Record = "pending enrollment"
	Key        Record = "private key"
	Bundle     Record = "received bundle"
)

// Damage damages a stored record as a failing disk does: the next call that reads
// it says so, once, and from then on nothing is stored.
func (d *Disk) Damage(r Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(r, damage{})
}

// Remove removes a record, like somebody who deletes its file.
func (d *Disk) Remove(r Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.kept, r)
}

func (d *Disk) keep(r Record, v any) {
	if d.kept == nil {
		d.kept = make(map[Record]any)
	}
	d.kept[r] = v
}

// find returns a record, or why it cannot be read. A damaged one is gone once it
// is found.
func (d *Disk) find(r Record) (any, error) {
	kept := d.kept[r]
	switch kept.(type) {
	case nil:
		return nil, fmt.Errorf("%s in memory: %w", r, ports.ErrNotStored)
	case damage:
		delete(d.kept, r)
		return nil, fmt.Errorf("%s in memory: %w", r, ports.ErrDamaged)
	}
	return kept, nil
}

// call runs f on the disk under its lock, unless ctx is done or there is a fault.
// A nil f has nothing to do.
func (d *Disk) call(ctx context.Context, fault func(Faults) error, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := fault(d.faults); err != nil || f == nil {
		return err
	}
	return f()
}
