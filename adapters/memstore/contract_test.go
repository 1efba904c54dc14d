package memstore

import (
	"testing"

	"github.com/muster-agent/muster/contracttest"
)

func place(*testing.T) func() *Store {
	p := new(Place)
	return func() *Store { return Open(p) }
}

func TestCredentialStore(t *testing.T) { contracttest.CredentialStore(t, place) }
func TestIdentityStore(t *testing.T)   { contracttest.IdentityStore(t, place) }
func TestRetryStore(t *testing.T)      { contracttest.RetryStore(t, place) }
func TestManagerJournal(t *testing.T)  { contracttest.ManagerJournal(t, place) }
func TestStateDirectory(t *testing.T)  { contracttest.StateDirectory(t, place) }
