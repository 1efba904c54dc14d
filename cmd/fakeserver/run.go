package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

const usage = `usage:
  fakeserver serve [--addr 127.0.0.1:8443] [--tls self|off] [--ca-out FILE] [--site CODE=KEY …]
                   [--approve auto|manual|after=N] [--cert-lifetime 1h]
  fakeserver demo  [--muster PATH]
"fakeserver serve -h" lists every flag.
`

// run is the program without its process. It gives the exit code: 0 when it
// was told to stop, or was asked for help; 1 for everything that went wrong.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"serve": serve,
		"demo":  demo,
	}
	var name string
	if len(args) > 0 {
		name = args[0]
	}
	command := commands[name]
	switch {
	case name == "-h" || name == "-help" || name == "--help" || name == "help":
		if _, err := fmt.Fprint(stdout, usage); err != nil {
			return 1
		}
		return 0
	case command == nil:
		fmt.Fprint(stderr, usage)
		return 1
	}
	switch err := command(ctx, args[1:], stdout, stderr); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	default:
		fmt.Fprintf(stderr, "fakeserver %s: %v\n", name, err)
		return 1
	}
}

// parse parses flags, after which nothing may be left.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return nil
}
