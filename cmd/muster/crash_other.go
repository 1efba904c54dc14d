//go:build !unix

package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

// crashCode is what a shell makes of the signal by which a panic ends elsewhere.
const crashCode = 134

// crashHonestly makes a panic end with the stacks of all goroutines; the
// function it returns, deferred, with an exit code that is none of ours. Without
// it that is Go's own, 2, which also says "enrollment in progress", and so it
// stays for another goroutine than main's, of which a command has few.
func crashHonestly() func() {
	debug.SetTraceback("crash")
	return func() {
		if r := recover(); r != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", r, debug.Stack())
			os.Exit(crashCode)
		}
	}
}
