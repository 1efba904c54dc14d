//go:build unix

package main

import "syscall"

// forbidCoreFiles keeps a crash from writing the process's memory, keys
// included, to disk.
func forbidCoreFiles() {
	// Lowering a limit is always allowed.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
