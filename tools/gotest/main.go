// Command gotest runs `go test -json` with the arguments it is given, shows
// what failed in full and what was skipped with its reason, and closes with
// the suites of contracttest that ran for each adapter, the pact interactions
// that were written and verified, and a line that counts the tests:
//
//	suites:
//	  CredentialStore     memory N, statedir N
//	  …
//	pact: N interactions written, N verified
//	N passed, N failed, N skipped
//
// Two runs are summed up as one where the first is told -save=FILE, which
// keeps its counts and leaves the suites to the next, and the second -add=FILE.
// Both stand before the arguments of go test.
//
// -again, which stands there too, is for a machine that is not to be relied on
// (Wine): what failed is run a second time, alone, and has failed only if it
// fails again. Which tests those were is said at the end. Each argument of go
// test that is a flag must then be one word (-run=X).
//
// It ends with 0 only if tests ran and none failed. Where the environment says
// CI=true, a skipped test counts as a failure, unless tools/allowed-skips.txt
// names it with a reason: there every test must be able to run. `-skips FILE`,
// as the first arguments, is another list than that one.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

func main() {
	args, skips := os.Args[1:], "tools/allowed-skips.txt"
	if len(args) >= 2 && args[0] == "-skips" {
		args, skips = args[2:], args[1]
	}
	if os.Getenv("CI") != "true" {
		skips = ""
	}
	ok, err := run(args, skips, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run runs the tests and reports to w; ok says whether all is well. skips is
// the list of the tests that may be skipped; "" for all.
func run(args []string, skips string, w io.Writer) (ok bool, err error) {
	save, add, again, args := between(args)
	strict := skips != ""
	var allowed map[string]string
	if strict {
		if allowed, err = readAllowedSkips(skips); err != nil {
			return false, err
		}
	}
	report := newReport(w)
	ok, err = report.run(args, strict, allowed)
	if again && !ok && err == nil {
		ok, err = report.runAgain(args, strict, allowed)
	}
	if err != nil {
		return false, err
	}
	if err := report.sumUp(save, add); err != nil {
		return false, err
	}
	return ok, nil
}

// run runs go test and reports what it says.
func (r *report) run(args []string, strict bool, allowed map[string]string) (ok bool, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return false, fmt.Errorf("open a pipe to go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("start go test: %w", err)
	}
	readErr := r.read(events)
	if readErr != nil {
		// Nothing more will be read; do not let go test wait on a full pipe.
		_ = cmd.Process.Kill() // it may have ended by itself
	}
	waitErr := cmd.Wait()
	if readErr != nil {
		return false, fmt.Errorf("read what go test says: %w", readErr)
	}
	ok = r.close(strict, allowed)
	if waitErr != nil && ok {
		return false, fmt.Errorf("go test: %w", waitErr)
	}
	return ok, nil
}

// between splits off the flags that are gotest's own.
func between(args []string) (save, add string, again bool, rest []string) {
	for len(args) > 0 {
		if file, found := strings.CutPrefix(args[0], "-save="); found {
			save = file
		} else if file, found := strings.CutPrefix(args[0], "-add="); found {
			add = file
		} else if args[0] == "-again" {
			again = true
		} else {
			break
		}
		args = args[1:]
	}
	return save, add, again, args
}

// read takes the events of go test as they come.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.add(e)
			} else {
				r.print(string(line)) // a word of go test itself
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readAllowedSkips reads lines of "package/path.TestName: reason".
func readAllowedSkips(name string) (map[string]string, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of allowed skips: %w", err)
	}
	allowed := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		test, reason, _ := strings.Cut(line, ": ")
		if reason == "" {
			return nil, fmt.Errorf("%s: %q gives no reason; write package/path.TestName: reason", name, line)
		}
		allowed[test] = reason
	}
	return allowed, nil
}
