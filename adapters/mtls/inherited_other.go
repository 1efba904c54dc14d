//go:build !unix

package mtls

import (
	"errors"
	"net"
)

// listenOn always fails: there is no systemd here.
func listenOn(int) (net.Listener, error) { return nil, errors.ErrUnsupported }
