// Muster gets a machine an identity and keeps it: see README.md.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = "0.0.0-dev"

func main() {
	defer crashHonestly()()
	log.SetOutput(io.Discard) // net/http writes there and quotes what a server sent, which could be a key
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(int(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)))
}
