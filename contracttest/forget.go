package contracttest

import (
	"context"
	"errors"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// KeyPlace is a place of an enrollment key, prepared for the suite.
type KeyPlace struct {
	Place ports.EnrollmentKeyPlace
	// Present reports whether the key can still be found, by whoever looks.
	Present func() bool
}

// EnrollmentKeyPlace is the suite of ports.EnrollmentKeyPlace. Each place holds a
// key of its own; from the fixed ones it cannot be removed.
func EnrollmentKeyPlace(t *testing.T, removable, fixed map[string]func(*testing.T) KeyPlace) {
	names(t, "EnrollmentKeyPlace")
	for name, fresh := range removable {
		t.Run(name, func(t *testing.T) {
			t.Run("a forgotten key is gone, and forgetting it again is no error", func(t *testing.T) {
				is := is.New(t)
				k := fresh(t)
				is.True(k.Present()) // before
				for range 2 {
					is.NoErr(k.Place.Forget(t.Context()))
					is.True(!k.Present())
				}
			})
			t.Run("a done context is answered with its error, and nothing changes", func(t *testing.T) {
				is := is.New(t)
				k := fresh(t)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				is.True(errors.Is(k.Place.Forget(ctx), context.Canceled))
				is.True(k.Present())
			})
		})
	}
	for name, fresh := range fixed {
		t.Run(name+": a key that cannot be removed stays, and it is said where it must be", func(t *testing.T) {
			is := is.New(t)
			k := fresh(t)
			for range 2 {
				err := k.Place.Forget(t.Context())
				is.True(errors.Is(err, ports.ErrNotRemovable))
				is.True(len(err.Error()) > len(ports.ErrNotRemovable.Error())) // says where
				is.True(k.Present())
			}
		})
	}
}
