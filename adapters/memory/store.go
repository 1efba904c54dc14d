package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Store is a process's view of a Disk. It implements ports.CredentialStore,
// ports.IdentityStore, ports.RetryStore, ports.IssueJournal and
// ports.StateDirectory.
type Store struct{ disk *Disk }

// OpenStore is a process's start over d.
func OpenStore(d *Disk) *Store { return &Store{d} }

// load returns a clone of a record.
func load[T any](ctx context.Context, d *Disk, r Record, fault func(Faults) error, clone func(T) T) (v T, err error) {
	err = d.call(ctx, fault, func() error {
		kept, err := d.find(r)
		if err == nil {
			v = clone(kept.(T))
		}
		return err
	})
	return v, err
}

// save keeps a clone of a record.
func save[T any](ctx context.Context, d *Disk, r Record, fault func(Faults) error, clone func(T) T, v T) error {
	return d.call(ctx, fault, func() error {
		d.keep(r, clone(v))
		return nil
	})
}

func (s *Store) erase(ctx context.Context, r Record, fault func(Faults) error) error {
	return s.disk.call(ctx, fault, func() error {
		delete(s.disk.kept, r)
		return nil
	})
}

// Load implements ports.CredentialStore.
func (s *Store) Load(ctx context.Context) (ports.Credential, error) {
	return load(ctx, s.disk, Credential, func(f Faults) error { return f.Load }, cloneCredential)
}

// Reserve implements ports.CredentialStore. There is always room.
func (s *Store) Reserve(ctx context.Context) error {
	return s.disk.call(ctx, func(f Faults) error { return f.Reserve }, nil)
}

// Save implements ports.CredentialStore.
func (s *Store) Save(ctx context.Context, c ports.Credential) error {
	return save(ctx, s.disk, Credential, func(f Faults) error { return f.Save }, cloneCredential, c)
}

// Protection implements ports.CredentialStore.
func (s *Store) Protection() string {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	return cmp.Or(s.disk.faults.Protection, "file")
}

// LoadIdentity implements ports.IdentityStore.
func (s *Store) LoadIdentity(ctx context.Context) (ports.Identity, error) {
	return load(ctx, s.disk, Identity, func(f Faults) error { return f.LoadIdentity }, cloneIdentity)
}

// SaveIdentity implements ports.IdentityStore.
func (s *Store) SaveIdentity(ctx context.Context, id ports.Identity) error {
	return save(ctx, s.disk, Identity, func(f Faults) error { return f.SaveIdentity }, cloneIdentity, id)
}

// LoadRetries implements ports.RetryStore.
func (s *Store) LoadRetries(ctx context.Context) (ports.RetryRecord, error) {
	return load(ctx, s.disk, Retries, func(f Faults) error { return f.LoadRetries }, cloneRetries)
}

// SaveRetries implements ports.RetryStore.
func (s *Store) SaveRetries(ctx context.Context, r ports.RetryRecord) error {
	return save(ctx, s.disk, Retries, func(f Faults) error { return f.SaveRetries }, cloneRetries, r)
}

// SetAside implements ports.StateDirectory. The moved records are gone, and the
// path is only a name, which is empty if nothing was stored. The certificate files
// count as lying in the state directory.
func (s *Store) SetAside(ctx context.Context) (where string, err error) {
	d := s.disk
	err = d.call(ctx, func(f Faults) error { return f.SetAside }, func() error {
		if len(d.kept) == 0 && len(d.rejected) == 0 && d.certificates == nil && d.previous == nil {
			return nil
		}
		d.kept, d.rejected = nil, nil
		d.eraseCertificates()
		d.setAside++
		where = fmt.Sprintf("memory/cloned-%d", d.setAside)
		return nil
	})
	return where, err
}

// RemoveEnrollment implements ports.StateDirectory. The certificate files count
// as lying in the state directory here too.
func (s *Store) RemoveEnrollment(ctx context.Context) (removed []string, err error) {
	d := s.disk
	err = d.call(ctx, func(f Faults) error { return f.RemoveEnrollment }, func() error {
		removed = d.eraseCertificates()
		for _, r := range []Record{Credential, Retries, Pending, Key, Bundle} {
			if d.kept[r] != nil {
				removed = append(removed, "memory/"+string(r))
				delete(d.kept, r)
			}
		}
		d.rejected = nil
		return nil
	})
	return removed, err
}

// Newer implements ports.StateDirectory.
func (s *Store) Newer(ctx context.Context) error {
	return s.disk.call(ctx, func(f Faults) error {
		for _, err := range []error{f.LoadIdentity, f.Load, f.LoadRetries, f.LoadPending, f.LoadBundle} {
			if errors.Is(err, ports.ErrNewerFormat) {
				return err
			}
		}
		return nil
	}, func() error {
		for _, r := range []Record{Identity, Credential, Retries, Pending, Bundle} {
			_, _ = s.disk.find(r) // as a look at a file does, it takes what is damaged out of the way
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
			&e.Refusal.Since, &e.Refusal.CodeSince,
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
