package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Disk is what survives a restart, as a disk does. The zero value is empty
// and ready for use; it must not be copied.
type Disk struct {
	mu         sync.Mutex
	faults     Faults
	credential *ports.Credential
	identity   *ports.Identity
	retries    *ports.RetryRecord
	pending    *ports.PendingEnrollment
	key        ports.Secret
	bundle     *ports.ReceivedBundle
	rejected   []ports.ReceivedBundle
	damaged    map[Record]bool
	// certificates are the present files, previous those that are kept; nil
	// for none.
	certificates, previous *ports.FoundSet
	damagedFiles           map[string][]ports.Secret // by path: what was set aside, the oldest first
	setAside               int
	holder                 *ports.LockedError
}

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
	InstallCRL                                           error
	// InstallMixture: Install replaces the CA and the certificate, and answers
	// with it before the key and the revocation list.
	InstallMixture error

	SetAside   error
	TryLock    error
	Protection string // what Store.Protection says; "file" if empty
}

// Inject replaces the faults; Inject(Faults{}) heals the disk.
func (p *Disk) Inject(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
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
func (p *Disk) Damage(r Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damaged == nil {
		p.damaged = map[Record]bool{}
	}
	p.damaged[r] = true
}

// Remove removes a record, like somebody who deletes its file.
func (p *Disk) Remove(r Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(r)
}

func (p *Disk) remove(r Record) {
	delete(p.damaged, r)
	switch r {
	case Credential:
		p.credential = nil
	case Identity:
		p.identity = nil
	case Retries:
		p.retries = nil
	case Pending:
		p.pending = nil
	case Key:
		p.key = ports.Secret{}
	case Bundle:
		p.bundle = nil
	}
}

// lost says why a record cannot be read, nil if it can.
func (p *Disk) lost(r Record, absent bool) error {
	kind := ports.ErrNotStored
	switch {
	case p.damaged[r]:
		delete(p.damaged, r)
		kind = ports.ErrDamaged
	case !absent:
		return nil
	}
	return fmt.Errorf("%s in memory: %w", r, kind)
}

// Store is a process's view of a Disk. It implements ports.CredentialStore,
// ports.IdentityStore, ports.RetryStore, ports.ManagerJournal and
// ports.StateDirectory.
type Store struct{ place *Disk }

// OpenStore is a process's start over p.
func OpenStore(p *Disk) *Store { return &Store{p} }

// call runs f on the disk under its lock, unless ctx is done or there is a fault.
func (s *Store) call(ctx context.Context, fault func(Faults) error, f func(p *Disk) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.place.mu.Lock()
	defer s.place.mu.Unlock()
	if err := fault(s.place.faults); err != nil {
		return err
	}
	return f(s.place)
}

// Load implements ports.CredentialStore.
func (s *Store) Load(ctx context.Context) (c ports.Credential, err error) {
	err = s.call(ctx, func(f Faults) error { return f.Load }, func(p *Disk) error {
		if err := p.lost(Credential, p.credential == nil); err != nil {
			p.credential = nil
			return err
		}
		c = cloneCredential(*p.credential)
		return nil
	})
	return c, err
}

// Reserve implements ports.CredentialStore. There is always room.
func (s *Store) Reserve(ctx context.Context) error {
	return s.call(ctx, func(f Faults) error { return f.Reserve }, func(*Disk) error { return nil })
}

// Save implements ports.CredentialStore.
func (s *Store) Save(ctx context.Context, c ports.Credential) error {
	return s.call(ctx, func(f Faults) error { return f.Save }, func(p *Disk) error {
		c = cloneCredential(c)
		delete(p.damaged, Credential)
		p.credential = &c
		return nil
	})
}

// Protection implements ports.CredentialStore.
func (s *Store) Protection() string {
	s.place.mu.Lock()
	defer s.place.mu.Unlock()
	if p := s.place.faults.Protection; p != "" {
		return p
	}
	return "file"
}

// LoadIdentity implements ports.IdentityStore.
func (s *Store) LoadIdentity(ctx context.Context) (id ports.Identity, err error) {
	err = s.call(ctx, func(f Faults) error { return f.LoadIdentity }, func(p *Disk) error {
		if err := p.lost(Identity, p.identity == nil); err != nil {
			p.identity = nil
			return err
		}
		id = cloneIdentity(*p.identity)
		return nil
	})
	return id, err
}

// SaveIdentity implements ports.IdentityStore.
func (s *Store) SaveIdentity(ctx context.Context, id ports.Identity) error {
	return s.call(ctx, func(f Faults) error { return f.SaveIdentity }, func(p *Disk) error {
		id = cloneIdentity(id)
		delete(p.damaged, Identity)
		p.identity = &id
		return nil
	})
}

// LoadRetries implements ports.RetryStore.
func (s *Store) LoadRetries(ctx context.Context) (r ports.RetryRecord, err error) {
	err = s.call(ctx, func(f Faults) error { return f.LoadRetries }, func(p *Disk) error {
		if err := p.lost(Retries, p.retries == nil); err != nil {
			p.retries = nil
			return err
		}
		r = cloneRetries(*p.retries)
		return nil
	})
	return r, err
}

// SaveRetries implements ports.RetryStore.
func (s *Store) SaveRetries(ctx context.Context, r ports.RetryRecord) error {
	return s.call(ctx, func(f Faults) error { return f.SaveRetries }, func(p *Disk) error {
		r = cloneRetries(r)
		delete(p.damaged, Retries)
		p.retries = &r
		return nil
	})
}

// SetAside implements ports.StateDirectory. The moved records are gone, and the
// path is only a name, which is empty if nothing was stored. The certificate files
// count as lying in the state directory.
func (s *Store) SetAside(ctx context.Context) (where string, err error) {
	err = s.call(ctx, func(f Faults) error { return f.SetAside }, func(p *Disk) error {
		if p.credential == nil && p.identity == nil && p.retries == nil &&
			p.pending == nil && p.key.Empty() && p.bundle == nil && len(p.rejected) == 0 &&
			p.certificates == nil && p.previous == nil {
			return nil
		}
		p.credential, p.identity, p.retries = nil, nil, nil
		p.pending, p.key, p.bundle, p.rejected = nil, ports.Secret{}, nil, nil
		p.certificates, p.previous, p.damagedFiles, p.damaged = nil, nil, nil, nil
		p.setAside++
		where = fmt.Sprintf("memory/cloned-%d", p.setAside)
		return nil
	})
	return where, err
}

// Newer implements ports.StateDirectory.
func (s *Store) Newer(ctx context.Context) error {
	return s.call(ctx, func(f Faults) error {
		for _, err := range []error{f.LoadIdentity, f.Load, f.LoadRetries, f.LoadPending, f.LoadBundle} {
			if errors.Is(err, ports.ErrNewerFormat) {
				return err
			}
		}
		return nil
	}, func(p *Disk) error {
		for _, r := range []Record{Identity, Credential, Retries, Pending, Bundle} {
			if p.damaged[r] {
				p.remove(r)
			}
		}
		return nil
	})
}

// The clones below share nothing with the original and hold times as a disk
// brings them back: in UTC, without a monotonic reading; maps are never nil.

func cloneCredential(c ports.Credential) ports.Credential {
	c.StoredAt = onDisk(c.StoredAt)
	c.Identity = cloneIdentity(c.Identity)
	return c
}

func cloneIdentity(id ports.Identity) ports.Identity {
	id.Salt = slices.Clone(id.Salt)
	id.Hashes = cloneMap(id.Hashes)
	id.CreatedAt = onDisk(id.CreatedAt)
	return id
}

func cloneRetries(r ports.RetryRecord) ports.RetryRecord {
	r.Activities, r.Obeyed = cloneMap(r.Activities), cloneMap(r.Obeyed)
	for activity, e := range r.Activities {
		e.Attempts = cloneMap(e.Attempts)
		for _, t := range []*time.Time{
			&e.LastAttempt, &e.NotBefore, &e.Next, &e.Since,
			&e.Refusal.Since, &e.Refusal.CodeSince, &e.Refusal.LastEnroll,
		} {
			*t = onDisk(*t)
		}
		r.Activities[activity] = e
	}
	for frame, t := range r.Obeyed {
		r.Obeyed[frame] = onDisk(t)
	}
	return r
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

func onDisk(t time.Time) time.Time { return t.Round(0).UTC() }
