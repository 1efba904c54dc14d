//go:build !unix

package main

import "runtime/debug"

// crashHonestly makes a panic end by an exception, with the stacks of all
// goroutines. On Windows that has Go's own exit code for a panic all the same,
// 2, which also says "enrollment in progress": docs/WINDOWS.md.
func crashHonestly() { debug.SetTraceback("crash") }
