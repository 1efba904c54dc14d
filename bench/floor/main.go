//go:build linux

// Command floor is the least that a first enrollment and a standing connection
// cost in Go with nothing but the standard library: a P-256 key and a CSR, one
// TLS connection, one POST, the verification of a chain of three certificates,
// two synced files; then a WebSocket with a ping every 30 s. It decides
// nothing, tries nothing again and recovers from nothing. The bench measures
// the agent beside it.
//
//	floor nothing   starts and ends
//	floor enroll    enrolls; -parts says on standard output how long each part took
//	floor run       enrolls unless there is a key, connects, and pings until SIGTERM
//
// It takes the agent's variables MUSTER_SERVER_URL, MUSTER_SITE_CODE,
// MUSTER_ENROLLMENT_KEY, MUSTER_MACHINE_UID, MUSTER_TRUST_CA_FILE and
// MUSTER_STATE_DIR.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var err error
	switch command := append(os.Args, "", "")[1]; command {
	case "nothing":
	case "enroll":
		parts := newStopwatch()
		_, err = start(ctx, parts)
		if err == nil && append(os.Args, "", "")[2] == "-parts" {
			fmt.Print(parts)
		}
	case "run":
		err = run(ctx)
	default:
		err = fmt.Errorf("floor %q: want nothing, enroll or run", command)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// run is a service's life.
func run(ctx context.Context) error {
	key, err := os.ReadFile(filepath.Join(os.Getenv("MUSTER_STATE_DIR"), "key"))
	var c *client
	switch {
	case err == nil:
		c, err = connect(ctx)
	case errors.Is(err, fs.ErrNotExist):
		c, err = start(ctx, newStopwatch())
		if err == nil {
			key = []byte(c.key)
		}
	}
	if err != nil {
		return err
	}
	return c.relay(ctx, string(key))
}
