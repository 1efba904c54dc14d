package e2e

import (
	"fmt"
	"testing"

	"github.com/matryer/is"
)

func TestTwoMachinesThatLookAlikeAreToldApartByAnOperator(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	first := newMachine(t, s)
	first.asHost("desk-1")
	first.hasty()
	second := first.twin()
	second.asHost("desk-2")

	a := first.start().connected()
	s.onlyMachine(first)
	key := first.key()
	b := second.start()
	is.Equal(b.logged("enroll.pending", 3).Class, "pending")
	is.Equal(second.is("pending").code, 2)
	is.True(!second.stored())               // nothing is given before the operator's word
	is.Equal(first.is("connected").code, 0) // undisturbed
	is.Equal(s.connections(), 1)

	s.Call("POST", "/_fake/machines/"+first.uid+"/confirm", "")
	b.connected()
	eventually(t, func() string {
		if w := s.State(); len(w.Relay) != 1 || w.Relay[0].Hostname != "desk-2" {
			return fmt.Sprintf("desk-2 is not connected: %+v", w.Relay)
		}
		return ""
	})
	is.Equal(len(s.State().Machines), 1)
	is.True(second.key() != key) // a key of its own

	// The first one's connection gave way, and its key is void now: it says so
	// and keeps it.
	a.logged("credential.refused", 2)
	is.Equal(first.is("connecting").Relay.State, "refused")
	is.Equal(first.key(), key)
	is.Equal(s.State().Machines[0].Enrollments, 2)
}
