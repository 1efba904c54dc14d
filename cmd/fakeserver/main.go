// Fakeserver is a strict fake of the servers that Muster talks to, for local
// development and tests. See package fakeserver, and "fakeserver serve -h".
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	debug.SetTraceback("crash") // a panic must not end with 2
	forbidCoreFiles()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
