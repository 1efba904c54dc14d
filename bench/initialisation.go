//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// initRuns is enough: the sum varies by a tenth.
const initRuns = 10

// initLine is a line of GODEBUG=inittrace=1, as package runtime describes it.
var initLine = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, (\S+) ms clock`)

// initialisation measures what packages do before main.
func (b *bench) initialisation(w io.Writer) error {
	var total, count [2]samples
	var each [2]map[string]*samples
	for n := range each {
		each[n] = map[string]*samples{}
	}
	for range initRuns {
		for n, p := range b.programs {
			_, said, err := b.measure(p.path, p.nothing, []string{"GODEBUG=inittrace=1"})
			if err != nil {
				return err
			}
			sum, lines := 0.0, initLine.FindAllStringSubmatch(said, -1)
			for _, line := range lines {
				ms, err := strconv.ParseFloat(line[2], 64)
				if err != nil {
					return fmt.Errorf("inittrace says %q", line[0])
				}
				sum += ms
				if each[n][line[1]] == nil {
					each[n][line[1]] = &samples{}
				}
				each[n][line[1]].add(ms)
			}
			total[n].add(sum)
			count[n].add(float64(len(lines)))
		}
	}
	t := newTable(w, "package initialisation (muster version)")
	t.row("ms", total[0], total[1])
	t.row("packages that do something", count[0][:1], count[1][:1])
	if err := t.end(); err != nil {
		return err
	}
	fmt.Fprintln(w, "The agent's packages that take longest to initialise, median ms, and the floor's in brackets:")
	byTime := func(a, b string) int { return cmp.Compare(each[1][b].median(), each[1][a].median()) }
	names := slices.SortedFunc(maps.Keys(each[1]), byTime)
	for _, name := range names[:min(10, len(names))] {
		floor := "not there"
		if s := each[0][name]; s != nil {
			floor = fmt.Sprintf("%.3f", s.median())
		}
		fmt.Fprintf(w, "  %.3f  %s (%s)\n", each[1][name].median(), name, floor)
	}
	fmt.Fprintln(w)
	return nil
}
