//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// reloads are the requests to read the configuration again. Until stop is
// called a standard error that nobody reads any more does not end the process:
// a service outlives who reads its log.
func reloads() (_ <-chan os.Signal, stop func()) {
	outliveReaders()
	c := make(chan os.Signal, 1) // one that waits stands for all that come meanwhile
	signal.Notify(c, syscall.SIGHUP)
	return c, func() {
		signal.Stop(c)
		signal.Reset(syscall.SIGPIPE)
	}
}

// outliveReaders has the process go on when nobody reads any more what it
// writes: Go ends one whose standard output or error is such a pipe.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }
