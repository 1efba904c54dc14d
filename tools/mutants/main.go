// Command mutants shows that the contract harness can fail: it breaks the
// contract in many ways, one at a time, on copies of the tree, and runs the
// tests that should notice.
//
//	./dev contract-mutants [WORD …]
//
// With words, only the mutants whose name or file holds one of them. Each gets
// a line:
//
//	caught    rename site_code    adapters/siteapi.TestGoldenRequests/enroll
//
// It ends with 0 only if every mutant was caught by a test. One that does not
// compile, or whose text is no longer in the tree, proves nothing and counts
// as a failure, and so does a harness that fails without any.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// workers is how many mutants are tried at the same time, each in a copy of
// its own: a test's compilation and its waiting share two cores well.
const workers = 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, ".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

// run tries the mutants of the tree at root.
func run(ctx context.Context, root string, words []string, w io.Writer) (err error) {
	began := time.Now()
	chosen := choose(table(), words)
	if len(chosen) == 0 {
		return fmt.Errorf("no mutant has %s in its name or file", strings.Join(words, " or "))
	}
	library, err := pactLibrary(root)
	if err != nil {
		return err
	}
	if library == "" {
		if os.Getenv("CI") == "true" && os.Getenv("MUSTER_TEST_WITHOUT_PACT") == "" {
			return errors.New("there is no libpact_ffi in .cache: run ./dev pact before")
		}
		n := len(chosen)
		chosen = slices.DeleteFunc(chosen, func(m mutant) bool { return m.suite.pact })
		fmt.Fprintf(w, "%d mutants that pact should notice are left out: ./dev pact fetches what it needs\n", n-len(chosen))
	}
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return fmt.Errorf("make a directory for the copies: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	trees := make([]tree, workers)
	for i := range trees {
		trees[i] = tree{filepath.Join(temp, fmt.Sprint(i)), library}
		if err := trees[i].copyFrom(ctx, root); err != nil {
			return fmt.Errorf("copy the tree: %w", err)
		}
	}

	var failed error
	each(trees, suites(chosen), func(t tree, s suite) verdict { return t.test(ctx, s) }, func(s suite, v verdict) {
		if v.kind != survived && failed == nil {
			failed = fmt.Errorf("the harness fails on the tree as it is, in %s: %s %s", strings.Join(s.packages, " "), v.kind, v.detail)
		}
	})
	if failed != nil {
		return failed
	}

	count := 0
	each(trees, chosen, func(t tree, m mutant) verdict { return t.try(ctx, m) }, func(m mutant, v verdict) {
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(w, "%-9s %-44s %s\n", v.kind, m.name, v.detail)
		if v.kind == caught {
			count++
		}
	})
	if ctx.Err() != nil {
		return errors.New("stopped")
	}
	fmt.Fprintf(w, "%d of %d caught (%v)\n", count, len(chosen), time.Since(began).Round(time.Second))
	if count < len(chosen) {
		return errors.New("a mutant that was not caught is a test that is missing, or the table needs care")
	}
	return nil
}

// choose is the mutants that one of the words names; all without words.
func choose(all []mutant, words []string) []mutant {
	return slices.DeleteFunc(all, func(m mutant) bool {
		return len(words) > 0 && !slices.ContainsFunc(words, func(word string) bool {
			return strings.Contains(m.name, word) || strings.Contains(m.file, word)
		})
	})
}

// suites are the tests that the mutants are tried with, each once.
func suites(mutants []mutant) (all []suite) {
	for _, m := range mutants {
		if !slices.ContainsFunc(all, m.suite.equal) {
			all = append(all, m.suite)
		}
	}
	return all
}

// each has every item worked on in one of the trees, and every result seen to,
// one after the other.
func each[T any](trees []tree, items []T, work func(tree, T) verdict, see func(T, verdict)) {
	queue := make(chan T)
	var one sync.Mutex
	var busy sync.WaitGroup
	for _, t := range trees {
		busy.Go(func() {
			for item := range queue {
				v := work(t, item)
				one.Lock()
				see(item, v)
				one.Unlock()
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	busy.Wait()
}
