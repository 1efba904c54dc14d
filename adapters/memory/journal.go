package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// Rejected are the bundles that were rejected, the oldest first.
func (p *Disk) Rejected() []ports.ReceivedBundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rejected)
}

// LoadPending implements ports.ManagerJournal.
func (s *Store) LoadPending(ctx context.Context) (e ports.PendingEnrollment, err error) {
	err = s.call(ctx, func(f Faults) error { return f.LoadPending }, func(p *Disk) error {
		if err := p.lost(Pending, p.pending == nil); err != nil {
			p.pending = nil
			return err
		}
		e = *p.pending
		return nil
	})
	return e, err
}

// SavePending implements ports.ManagerJournal.
func (s *Store) SavePending(ctx context.Context, e ports.PendingEnrollment) error {
	return s.call(ctx, func(f Faults) error { return f.SavePending }, func(p *Disk) error {
		e.RegisteredAt = onDisk(e.RegisteredAt)
		delete(p.damaged, Pending)
		p.pending = &e
		return nil
	})
}

// LoadKey implements ports.ManagerJournal.
func (s *Store) LoadKey(ctx context.Context) (key ports.Secret, err error) {
	err = s.call(ctx, func(f Faults) error { return f.LoadKey }, func(p *Disk) error {
		if err := p.lost(Key, p.key.Empty()); err != nil {
			p.key = ports.Secret{}
			return err
		}
		key = p.key
		return nil
	})
	return key, err
}

// SaveKey implements ports.ManagerJournal.
func (s *Store) SaveKey(ctx context.Context, key ports.Secret) error {
	return s.call(ctx, func(f Faults) error { return f.SaveKey }, func(p *Disk) error {
		delete(p.damaged, Key)
		p.key = key
		return nil
	})
}

// EraseKey implements ports.ManagerJournal.
func (s *Store) EraseKey(ctx context.Context) error {
	return s.call(ctx, func(f Faults) error { return f.EraseKey }, func(p *Disk) error {
		p.remove(Key)
		return nil
	})
}

// ReserveBundle implements ports.ManagerJournal. There is always room.
func (s *Store) ReserveBundle(ctx context.Context) error {
	return s.call(ctx, func(f Faults) error { return f.ReserveBundle }, func(*Disk) error { return nil })
}

// LoadBundle implements ports.ManagerJournal.
func (s *Store) LoadBundle(ctx context.Context) (b ports.ReceivedBundle, err error) {
	err = s.call(ctx, func(f Faults) error { return f.LoadBundle }, func(p *Disk) error {
		if err := p.lost(Bundle, p.bundle == nil); err != nil {
			p.bundle = nil
			return err
		}
		b = cloneReceived(*p.bundle)
		return nil
	})
	return b, err
}

// SaveBundle implements ports.ManagerJournal.
func (s *Store) SaveBundle(ctx context.Context, b ports.ReceivedBundle) error {
	return s.call(ctx, func(f Faults) error { return f.SaveBundle }, func(p *Disk) error {
		b = cloneReceived(b)
		delete(p.damaged, Bundle)
		p.bundle = &b
		return nil
	})
}

// EraseBundle implements ports.ManagerJournal.
func (s *Store) EraseBundle(ctx context.Context) error {
	return s.call(ctx, func(f Faults) error { return f.EraseBundle }, func(p *Disk) error {
		p.remove(Bundle)
		return nil
	})
}

// RejectBundle implements ports.ManagerJournal. All are kept; see
// Disk.Rejected.
func (s *Store) RejectBundle(ctx context.Context) (where string, err error) {
	err = s.call(ctx, func(f Faults) error { return f.RejectBundle }, func(p *Disk) error {
		if err := p.lost(Bundle, p.bundle == nil); err != nil {
			p.bundle = nil
			return err
		}
		p.rejected = append(p.rejected, *p.bundle)
		p.bundle = nil
		where = fmt.Sprintf("memory/rejected/%d", len(p.rejected))
		return nil
	})
	return where, err
}

func cloneReceived(b ports.ReceivedBundle) ports.ReceivedBundle {
	b.ReceivedAt = onDisk(b.ReceivedAt)
	if b.Renewed != nil {
		r := *b.Renewed
		for _, text := range []*[]byte{&r.CA, &r.Cert, &r.Chain, &r.CRL} {
			*text = slices.Clone(*text)
		}
		b.Renewed = &r
	}
	return b
}
