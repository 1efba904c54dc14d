package memstore_test

import (
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/memstore"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func place[T any](as func(*memstore.Store) T) func(*testing.T) func() T {
	return func(*testing.T) func() T {
		p := new(memstore.Place)
		return func() T { return as(memstore.Open(p)) }
	}
}

func TestContracts(t *testing.T) {
	t.Parallel()
	t.Run("CredentialStore", func(t *testing.T) {
		contracttest.CredentialStore(t, place(func(s *memstore.Store) ports.CredentialStore { return s }))
	})
	t.Run("IdentityStore", func(t *testing.T) {
		contracttest.IdentityStore(t, place(func(s *memstore.Store) ports.IdentityStore { return s }))
	})
	t.Run("RetryStore", func(t *testing.T) {
		contracttest.RetryStore(t, place(func(s *memstore.Store) ports.RetryStore { return s }))
	})
	t.Run("StateDirectory", func(t *testing.T) {
		contracttest.StateDirectory(t, place(func(s *memstore.Store) contracttest.Store { return s }))
	})
	t.Run("ProcessLock", func(t *testing.T) {
		contracttest.ProcessLock(t, func(*testing.T) func() ports.ProcessLock {
			p := new(memstore.Place)
			return func() ports.ProcessLock { return memstore.OpenLock(p) }
		})
	})
}

// TestFaults shows that every fault is answered with, changes nothing, and can
// be taken back.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := new(memstore.Place)
	s := memstore.Open(p)
	calls := map[string]struct {
		fault memstore.Faults
		call  func() error
	}{
		"Load":         {memstore.Faults{Load: ports.ErrUnreadable}, func() error { _, err := s.Load(t.Context()); return err }},
		"Reserve":      {memstore.Faults{Reserve: ports.ErrNotWritten}, func() error { return s.Reserve(t.Context()) }},
		"Save":         {memstore.Faults{Save: ports.ErrNotWritten}, func() error { return s.Save(t.Context(), ports.Credential{SiteCode: "new"}) }},
		"Erase":        {memstore.Faults{Erase: ports.ErrNotWritten}, func() error { return s.Erase(t.Context()) }},
		"LoadIdentity": {memstore.Faults{LoadIdentity: ports.ErrDamaged}, func() error { _, err := s.LoadIdentity(t.Context()); return err }},
		"SaveIdentity": {memstore.Faults{SaveIdentity: ports.ErrNotWritten}, func() error { return s.SaveIdentity(t.Context(), ports.Identity{}) }},
		"LoadRetries":  {memstore.Faults{LoadRetries: ports.ErrNewerFormat}, func() error { _, err := s.LoadRetries(t.Context()); return err }},
		"SaveRetries":  {memstore.Faults{SaveRetries: ports.ErrNotWritten}, func() error { return s.SaveRetries(t.Context(), ports.RetryRecord{}) }},
		"SetAside":     {memstore.Faults{SetAside: ports.ErrNotWritten}, func() error { _, err := s.SetAside(t.Context()); return err }},
		"TryLock": {memstore.Faults{TryLock: ports.ErrLocked}, func() error {
			_, err := memstore.OpenLock(p).TryLock(t.Context(), "run")
			return err
		}},
	}
	is.New(t).NoErr(s.Save(t.Context(), ports.Credential{SiteCode: "old"}))
	for name, c := range calls {
		p.Inject(c.fault)
		err := c.call()
		p.Inject(memstore.Faults{})
		if err == nil {
			t.Errorf("%s: the fault was not answered with", name)
		}
		if got, err := s.Load(t.Context()); err != nil || got.SiteCode != "old" {
			t.Errorf("%s: after the fault Load gives %+v, %v", name, got, err)
		}
	}
	p.Inject(memstore.Faults{Save: errors.New("boom"), Protection: "dpapi"})
	is.New(t).Equal(s.Protection(), "dpapi")
}
