package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// The attributes of tests (testing.T.Attr) that are counted.
const (
	attrSuite    = "contract-suite"            // the suite that the test runs
	attrWritten  = "pact-interaction-written"  // an interaction that a consumer test wrote
	attrVerified = "pact-interaction-verified" // an interaction that a provider was verified by
)

// tally is what the closing summary counts. It is kept in a file between two
// runs that are summed up as one.
type tally struct {
	Passed, Failed, Skipped int
	// Suites are the tests that passed, by suite and by the adapter's folder.
	Suites map[string]map[string]int
	// Written and Verified are names of interactions.
	Written, Verified map[string]bool
}

func newTally() *tally {
	return &tally{Suites: map[string]map[string]int{}, Written: map[string]bool{}, Verified: map[string]bool{}}
}

// suite counts n more tests of a suite that passed in a package.
func (y *tally) suite(name, pkg string, n int) {
	if y.Suites[name] == nil {
		y.Suites[name] = map[string]int{}
	}
	y.Suites[name][path.Base(pkg)] += n
}

// add adds what another run counted.
func (y *tally) add(other *tally) {
	y.Passed += other.Passed
	y.Failed += other.Failed
	y.Skipped += other.Skipped
	for name, adapters := range other.Suites {
		for adapter, n := range adapters {
			y.suite(name, adapter, n)
		}
	}
	maps.Copy(y.Written, other.Written)
	maps.Copy(y.Verified, other.Verified)
}

// details are the lines that say which suites ran for which adapter, and what
// became of the interactions; empty where there was nothing of the kind.
func (y *tally) details() string {
	var b strings.Builder
	if len(y.Suites) > 0 {
		b.WriteString("suites:\n")
	}
	for _, name := range slices.Sorted(maps.Keys(y.Suites)) {
		var adapters []string
		for _, adapter := range slices.Sorted(maps.Keys(y.Suites[name])) {
			adapters = append(adapters, fmt.Sprintf("%s %d", adapter, y.Suites[name][adapter]))
		}
		fmt.Fprintf(&b, "  %-19s %s\n", name, strings.Join(adapters, ", "))
	}
	if len(y.Written)+len(y.Verified) > 0 {
		fmt.Fprintf(&b, "pact: %d interactions written, %d verified\n", len(y.Written), len(y.Verified))
	}
	return b.String()
}

func (y *tally) save(file string) error {
	text, err := json.Marshal(y)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the counts for the next run: %w", err)
	}
	return nil
}

// load adds what an earlier run saved. An absent or empty file is none.
func (y *tally) load(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return nil
	}
	other := newTally()
	if err == nil {
		err = json.Unmarshal(text, other)
	}
	if err != nil {
		return fmt.Errorf("read the counts of the run before: %w", err)
	}
	y.add(other)
	return nil
}
