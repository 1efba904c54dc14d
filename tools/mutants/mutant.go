package main

import (
	"fmt"
	"slices"
	"strings"
)

// mutant is one way to break the contract.
type mutant struct {
	name  string
	file  string // by slashes, from the tree's root
	edits []edit
	suite suite // the tests that should notice
}

// edit replaces a text that must be in the file exactly as many times as is
// said: a table that has gone stale must not pass for a mutant.
type edit struct {
	old, new string
	times    int
}

// change is a mutant before it is known where.
type change struct {
	name  string
	edits []edit
}

// swap is the change of a text that is in the file once.
func swap(name, old, new string) change { return change{name, []edit{{old, new, 1}}} }

// times says that the text is there n times, each of which is changed.
func (c change) times(n int) change {
	c.edits = slices.Clone(c.edits)
	c.edits[len(c.edits)-1].times = n
	return c
}

// also makes a second replacement in the same file.
func (c change) also(old, new string) change {
	c.edits = append(slices.Clone(c.edits), edit{old, new, 1})
	return c
}

// in are the mutants of one file.
func in(file string, s suite, changes ...change) (mutants []mutant) {
	for _, c := range changes {
		mutants = append(mutants, mutant{c.name, file, c.edits, s})
	}
	return mutants
}

// apply is the file with the mutant in it.
func (m mutant) apply(text string) (string, error) {
	for _, e := range m.edits {
		if n := strings.Count(text, e.old); n != e.times {
			return "", fmt.Errorf("%s holds %d times, not %d: %s", m.file, n, e.times, e.old)
		}
		text = strings.ReplaceAll(text, e.old, e.new)
	}
	return text, nil
}
