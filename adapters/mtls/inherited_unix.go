//go:build unix

package mtls

import (
	"net"
	"os"
	"syscall"
)

// listenOn makes a listener of a copy of fd. No process that is started from
// here on inherits fd.
func listenOn(fd int) (net.Listener, error) {
	syscall.CloseOnExec(fd)
	again, err := syscall.Dup(fd)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	file := os.NewFile(uintptr(again), "systemd's socket")
	defer func() { _ = file.Close() }() // the listener has a copy of its own
	return net.FileListener(file)
}
