//go:build unix

package mtls

import (
	"errors"
	"syscall"
)

// exclusive changes nothing: Go sets SO_REUSEADDR. On Unix an address can then be
// opened again while old connections to it linger, but still not by two
// listeners.
func exclusive(_, _ string, _ syscall.RawConn) error { return nil }

func isAddressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
