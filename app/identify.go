package app

import (
	"context"
	"errors"

	"github.com/muster-agent/muster/ports"
)

// Identify finds out which machine this is and writes it to the state
// directory, or, where that cannot be written now, to the Handover too. Where
// the machine is enrolled it also forgets the enrollment key, for an agent that
// lacks the rights.
func Identify(ctx context.Context, d Deps) (ports.Identity, error) {
	a := New(d)
	if err := a.identity.Establish(ctx); err != nil {
		return a.identity.Identity(), err
	}
	err := a.identity.Save(ctx)
	if err != nil {
		err = errors.Join(err, a.identity.HandOver(ctx))
	}
	a.site.ForgetKeyIfEnrolled(ctx)
	return a.identity.Identity(), err
}

// Look finds out which machine this is and changes nothing; stored says that
// the state directory has it just so. With handOver an identity that the state
// directory does not have is left for an agent that may not read the signals.
func Look(ctx context.Context, d Deps, handOver bool) (id ports.Identity, stored bool, err error) {
	k := New(d).identity
	k.LookOnly = true
	err = k.Establish(ctx)
	if err == nil && handOver && !k.Saved() {
		err = k.HandOver(ctx)
	}
	return k.Identity(), k.Saved(), err
}
