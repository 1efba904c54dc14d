//go:build linux

// Command bench measures the agent beside the floor program, in one run and
// taking turns, so that a busy machine is busy for both: a first enrollment,
// the start of the service until it is connected, an idle minute, package
// initialisation and the size of the binary. It prints a table and where the
// agent's share goes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

type options struct {
	muster, fakeserver, floor, symbols, spawn, dir string
	runs                                           int
	idle, settle                                   time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.muster, "muster", "dist/muster", "the agent's shipped `binary`")
	flag.StringVar(&o.fakeserver, "fakeserver", "dist/fakeserver", "the fake server's `binary`")
	flag.StringVar(&o.floor, "floor", "", "the floor program's `binary`")
	flag.StringVar(&o.spawn, "spawn", "", "the measuring program's `binary`")
	flag.StringVar(&o.symbols, "symbols", "", "a `binary` of the agent with its symbols; without one its code is not broken down")
	flag.StringVar(&o.dir, "dir", "dist", "the `directory` whose disk the state directories are put on")
	flag.IntVar(&o.runs, "runs", 30, "how many `times` each start is measured")
	flag.DurationVar(&o.idle, "idle", 60*time.Second, "how long an idle connection is watched")
	flag.DurationVar(&o.settle, "settle", 5*time.Second, "how long a connection is left alone before it is watched")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return fmt.Errorf("make a directory for the state directories: %w", err)
	}
	defer func() {
		if removeErr := os.RemoveAll(dir); err == nil {
			err = removeErr
		}
	}()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	server, err := startServer(ctx, o.fakeserver, dir)
	if err != nil {
		return err
	}
	defer server.stop()

	b := &bench{options: o, ctx: ctx, dir: dir, server: server, programs: [2]program{
		{name: "floor", path: o.floor, nothing: []string{"nothing"}, enroll: []string{"enroll"}, run: []string{"run"}},
		{name: "muster", path: o.muster, nothing: []string{"version"}, enroll: []string{"enroll"}, run: []string{"run", "--log-format", "json"}},
	}}
	fmt.Fprintf(w, "The agent beside the floor: %s/%s, %d cores, %s; %d runs each, taking turns.\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), o.runs)
	fmt.Fprintf(w, "Medians, in brackets from the 10th to the 90th percentile.\n\n")

	for _, measure := range []func(io.Writer) error{b.starts, b.idles, b.initialisation, b.sizes} {
		if err := measure(w); err != nil {
			return err
		}
	}
	return nil
}

// bench is what every measurement needs.
type bench struct {
	options
	ctx      context.Context // done when the bench is interrupted
	dir      string
	server   *server
	programs [2]program // the floor, the agent
	states   int        // how many state directories were given out
}
