package statedir

import (
	"path/filepath"
	"testing"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func place[T any](as func(*Dir) T) func(*testing.T) func() T {
	return func(t *testing.T) func() T {
		path := filepath.Join(t.TempDir(), "state")
		return func() T {
			d, err := Open(path, Options{Version: "1.0.0", Recovered: func(r ports.Recovery) {
				t.Errorf("recovered from %+v", r)
			}})
			if err != nil {
				t.Fatal(err)
			}
			return as(d)
		}
	}
}

func TestContracts(t *testing.T) {
	t.Parallel()
	t.Run("CredentialStore", func(t *testing.T) {
		contracttest.CredentialStore(t, place(func(d *Dir) ports.CredentialStore { return d }))
	})
	t.Run("IdentityStore", func(t *testing.T) {
		contracttest.IdentityStore(t, place(func(d *Dir) ports.IdentityStore { return d }))
	})
	t.Run("RetryStore", func(t *testing.T) {
		contracttest.RetryStore(t, place(func(d *Dir) ports.RetryStore { return d }))
	})
	t.Run("ManagerJournal", func(t *testing.T) {
		contracttest.ManagerJournal(t, place(func(d *Dir) ports.ManagerJournal { return d }))
	})
	t.Run("StateDirectory", func(t *testing.T) {
		contracttest.StateDirectory(t, place(func(d *Dir) contracttest.Store { return d }))
	})
}
