package app

import (
	"context"
	"errors"

	"github.com/muster-agent/muster/ports"
)

// Unenroll removes what enrollments left on this machine, and returns the paths
// of the files that are gone, also beside an error. It keeps which machine this
// is. Before it removes anything it asks confirm, whose error it returns; what
// a newer version stored it does not touch. Its caller holds the lock.
func Unenroll(ctx context.Context, stored ports.StateDirectory, certificates ports.CertificateFiles, confirm func() error) (removed []string, err error) {
	if err := stored.Newer(ctx); err != nil {
		return nil, err // what cannot be read for another reason can be removed
	}
	if err := confirm(); err != nil {
		return nil, err
	}
	removed, err = stored.RemoveEnrollment(ctx)
	elsewhere, certErr := certificates.Erase(ctx) // they may lie outside the state directory
	return append(removed, elsewhere...), errors.Join(err, certErr)
}
