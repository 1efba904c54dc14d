package ports

import (
	"context"
	"errors"
)

// ErrNotRemovable: the enrollment key lies where this process cannot remove
// it for good: in a variable, in a file of credentials that the service
// manager hands out anew at each start, on a read-only file system.
var ErrNotRemovable = errors.New("the enrollment key cannot be removed from here")

// EnrollmentKeyPlace is where the enrollment key of this configuration lies at
// rest.
type EnrollmentKeyPlace interface {
	// Forget removes the key so that a stolen disk enrolls nobody, and returns
	// once that is durable; what else stands in the same file stays. With no
	// key left there it succeeds. Where the key cannot be removed, nothing has
	// changed and the error is of kind ErrNotRemovable and says where a person
	// must remove it.
	Forget(ctx context.Context) error
}
