//go:build unix

package main

import (
	"runtime/debug"
	"syscall"
)

// crashHonestly makes a panic end by a signal, so that it does not look like
// exit code 2, "enrollment in progress", which is Go's own for a panic; and
// without a core file, which would hold keys. What it returns is to be deferred.
func crashHonestly() func() {
	debug.SetTraceback("crash")
	// Without the right to lower a limit there is none to be had: it is never refused.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	return func() {}
}
