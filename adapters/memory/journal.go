package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// Rejected are the bundles that were rejected, the oldest first.
func (d *Disk) Rejected() []ports.ReceivedBundle {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.rejected)
}

// LoadPending implements ports.IssueJournal.
func (s *Store) LoadPending(ctx context.Context) (ports.PendingIssue, error) {
	return load(ctx, s.disk, Pending, func(f Faults) error { return f.LoadPending }, clonePending)
}

// SavePending implements ports.IssueJournal.
func (s *Store) SavePending(ctx context.Context, e ports.PendingIssue) error {
	return save(ctx, s.disk, Pending, func(f Faults) error { return f.SavePending }, clonePending, e)
}

// LoadKey implements ports.IssueJournal.
func (s *Store) LoadKey(ctx context.Context) (ports.Secret, error) {
	return load(ctx, s.disk, Key, func(f Faults) error { return f.LoadKey }, cloneKey)
}

// SaveKey implements ports.IssueJournal.
func (s *Store) SaveKey(ctx context.Context, key ports.Secret) error {
	return save(ctx, s.disk, Key, func(f Faults) error { return f.SaveKey }, cloneKey, key)
}

// EraseKey implements ports.IssueJournal.
func (s *Store) EraseKey(ctx context.Context) error {
	return s.erase(ctx, Key, func(f Faults) error { return f.EraseKey })
}

// ReserveBundle implements ports.IssueJournal. There is always room.
func (s *Store) ReserveBundle(ctx context.Context) error {
	return s.disk.call(ctx, func(f Faults) error { return f.ReserveBundle }, nil)
}

// LoadBundle implements ports.IssueJournal.
func (s *Store) LoadBundle(ctx context.Context) (ports.ReceivedBundle, error) {
	return load(ctx, s.disk, Bundle, func(f Faults) error { return f.LoadBundle }, cloneReceived)
}

// SaveBundle implements ports.IssueJournal.
func (s *Store) SaveBundle(ctx context.Context, b ports.ReceivedBundle) error {
	return save(ctx, s.disk, Bundle, func(f Faults) error { return f.SaveBundle }, cloneReceived, b)
}

// EraseBundle implements ports.IssueJournal.
func (s *Store) EraseBundle(ctx context.Context) error {
	return s.erase(ctx, Bundle, func(f Faults) error { return f.EraseBundle })
}

// RejectBundle implements ports.IssueJournal. All are kept; see
// Disk.Rejected.
func (s *Store) RejectBundle(ctx context.Context) (where string, err error) {
	d := s.disk
	err = d.call(ctx, func(f Faults) error { return f.RejectBundle }, func() error {
		bundle, err := d.find(Bundle)
		if err != nil {
			return err
		}
		d.rejected = append(d.rejected, bundle.(ports.ReceivedBundle))
		delete(d.kept, Bundle)
		where = fmt.Sprintf("memory/rejected/%d", len(d.rejected))
		return nil
	})
	return where, err
}

func clonePending(e ports.PendingIssue) ports.PendingIssue {
	e.SubmittedAt = onDisk(e.SubmittedAt)
	return e
}

func cloneKey(key ports.Secret) ports.Secret { return key } // nothing can change it

func cloneReceived(b ports.ReceivedBundle) ports.ReceivedBundle {
	b.ReceivedAt = onDisk(b.ReceivedAt)
	if b.Interpreted != nil {
		r := *b.Interpreted
		for _, text := range []*[]byte{&r.CA, &r.Cert, &r.Chain, &r.CRL} {
			*text = slices.Clone(*text)
		}
		b.Interpreted = &r
	}
	return b
}
