// Command wine makes what a Go program needs to be tested under Wine, which
// lacks two things of Windows:
//
//	wine stub FILE       writes bcryptprimitives.dll
//	wine overlay FOLDER  writes what `go test -overlay` takes, and prints its path
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "wine:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 {
		switch args[0] {
		case "stub":
			return os.WriteFile(args[1], randomnessDLL(), 0o644)
		case "overlay":
			path, err := writeOverlay(args[1])
			if err != nil {
				return err
			}
			fmt.Println(path)
			return nil
		}
	}
	return errors.New("usage: wine stub FILE | wine overlay FOLDER")
}
