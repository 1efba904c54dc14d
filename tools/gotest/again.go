package main

import (
	"maps"
	"slices"
	"strings"
)

// runAgain runs a second time what failed in each package, alone, and takes
// the result in place of the first. All of a package is run where the first
// run left tests unfinished.
func (r *report) runAgain(args []string, strict bool, allowed map[string]string) (ok bool, err error) {
	flags := []string{"-count=1"}
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "-run=") {
			flags = append(flags, arg)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(r.packages)) {
		p := r.packages[path]
		if len(p.failed) == 0 || p.unbuilt {
			continue
		}
		r.print("\n== again: " + strings.Join(p.failed, ", ") + "\n")
		second := newReport(r.w)
		passed, err := second.run(append(slices.Clone(flags), p.only(path), path), strict, allowed)
		if err != nil {
			return false, err
		}
		if !passed {
			continue
		}
		r.failed = slices.DeleteFunc(r.failed, func(name string) bool { return slices.Contains(p.failed, name) })
		r.again = append(r.again, p.failed...)
		r.tally.Failed = len(r.failed)
		if p.unfinished {
			r.tally.Passed += second.tally.Passed - p.passed
			r.tally.Skipped += second.tally.Skipped - p.skipped
		} else {
			r.tally.Passed += len(p.failed)
		}
	}
	return r.tally.Failed == 0, nil
}

// only is the flag that chooses what is run again of the package path.
func (p *pkg) only(path string) string {
	if p.unfinished {
		return "-run=."
	}
	var tests []string
	for _, name := range p.failed {
		name, _, _ = strings.Cut(strings.TrimPrefix(name, path+"."), "/")
		tests = append(tests, name)
	}
	slices.Sort(tests)
	return "-run=^(" + strings.Join(slices.Compact(tests), "|") + ")$"
}
