//go:build unix

package mtls

import (
	"errors"
	"syscall"
)

// exclusive changes nothing: Go sets SO_REUSEADDR, which on Unix lets an
// address be opened again while old connections to it linger, and keeps two
// listeners off it all the same.
func exclusive(_, _ string, _ syscall.RawConn) error { return nil }

func isAddressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
