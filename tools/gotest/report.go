package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc cmd/test2json; the build's
// events: go help buildjson).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a build's event
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
	Key, Value  string // of an attribute
}

// report is what is known of the tests so far.
type report struct {
	w        io.Writer
	packages map[string]*pkg
	failed   []string
	skipped  []skip
	tally    *tally
	again    []string // passed, but not the first time
}

// pkg is a package whose tests are under way.
type pkg struct {
	tests map[string]*test
	order []string // the tests as they started
	text  []string // what no test of its own said
	// stray are failed assertions among what tests said that then passed: a
	// library that writes to standard output is not heard as the test that
	// called it.
	stray []string
	count int
	// What a second run may be about (again.go).
	passed, skipped int
	failed          []string // as in the report
	unfinished      bool     // it ended before its last test
	unbuilt         bool
}

type test struct {
	text   []string
	suite  string // that it runs, if any
	ended  string // "", pass, fail or skip
	parent bool   // has subtests, and is counted by them
	broken bool   // a subtest failed
}

type skip struct{ name, reason string }

func newReport(w io.Writer) *report {
	return &report{w: w, packages: map[string]*pkg{}, tally: newTally()}
}

// print shows text at once. A report that cannot be shown has no one to tell.
func (r *report) print(text string) { _, _ = io.WriteString(r.w, text) }

func (r *report) add(e event) {
	if e.Action == "build-output" {
		r.print(e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &pkg{tests: map[string]*test{}}
		r.packages[e.Package] = p
	}
	if e.Test == "" {
		r.addPackage(p, e)
		return
	}
	t := p.tests[e.Test]
	if t == nil {
		t = &test{}
		p.tests[e.Test] = t
		p.order = append(p.order, e.Test)
		if parent := p.tests[parentOf(e.Test)]; parent != nil {
			parent.parent = true
		}
	}
	switch e.Action {
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") { // go test's notes of what runs now
			t.text = append(t.text, e.Output)
		}
	case "attr":
		switch e.Key {
		case attrSuite:
			t.suite = e.Value
			r.tally.suite(e.Value, e.Package, 0)
		case attrWritten:
			r.tally.Written[e.Value] = true
		case attrVerified:
			r.tally.Verified[e.Value] = true
		}
	case "pass", "fail", "skip":
		r.end(e.Package, p, e.Test, e.Action)
	}
}

// end notes how a test ended.
func (r *report) end(path string, p *pkg, name, action string) {
	t := p.tests[name]
	t.ended = action
	if action == "fail" {
		r.print(strings.Join(t.text, ""))
		if parent := p.tests[parentOf(name)]; parent != nil {
			parent.broken = true
		}
	}
	full := path + "." + name
	switch {
	case action == "fail" && !t.broken:
		r.fail(p, full)
	case t.parent:
		return
	case action == "pass":
		r.tally.Passed++
		p.passed++
		for of := name; of != ""; of = parentOf(of) {
			if around := p.tests[of]; around != nil && around.suite != "" {
				r.tally.suite(around.suite, path, 1)
				break
			}
		}
	case action == "skip":
		r.skipped = append(r.skipped, skip{full, reason(t.text)})
		p.skipped++
	}
	p.count++
	if action != "fail" {
		p.stray = append(p.stray, assertions(t.text)...)
		t.text = nil
	}
}

func (r *report) fail(p *pkg, what string) {
	r.failed = append(r.failed, what)
	p.failed = append(p.failed, what)
}

// assertion is what matryer/is writes of one that failed; t.Log indents with
// spaces.
var assertion = regexp.MustCompile(`^\t\w+_test\.go:\d+: `)

func assertions(text []string) (found []string) {
	for _, line := range text {
		if assertion.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// addPackage takes an event of a package itself.
func (r *report) addPackage(p *pkg, e event) {
	switch e.Action {
	case "output":
		p.text = append(p.text, e.Output)
	case "pass":
		r.print(fmt.Sprintf("ok    %-60s %4d tests %6.2fs\n", e.Package, p.count, e.Elapsed))
	case "skip":
		r.print(fmt.Sprintf("-     %-60s no tests\n", e.Package))
	case "fail":
		before := len(r.failed)
		p.unfinished = !slices.Contains(p.text, "FAIL\n") // package testing's last word
		// A panic or a time-out ends tests that say nothing more; the
		// innermost first, so that a parent knows of its subtests.
		for _, name := range slices.Backward(p.order) {
			if p.tests[name].ended == "" {
				r.end(e.Package, p, name, "fail")
			}
		}
		failedTests := before < len(r.failed) || slices.ContainsFunc(p.order, func(name string) bool {
			return p.tests[name].ended == "fail"
		})
		switch {
		case e.FailedBuild != "":
			p.unbuilt = true
			r.fail(p, e.Package+" (does not build)")
		case !failedTests:
			r.fail(p, e.Package+" (the package, outside its tests)")
		}
		r.print(strings.Join(p.text, ""))
		if len(p.stray) > 0 {
			r.print("Failed assertions, heard beside other tests:\n" + strings.Join(p.stray, ""))
		}
		r.print(fmt.Sprintf("FAIL  %-60s %4d tests %6.2fs\n", e.Package, p.count, e.Elapsed))
	}
}

// close says what was skipped and what failed, and whether all is well.
func (r *report) close(strict bool, allowed map[string]string) bool {
	r.print("\n")
	for _, s := range r.skipped {
		if strict && allowed[s.name] == "" {
			r.failed = append(r.failed, s.name+" (skipped, which CI does not allow: "+s.reason+")")
			continue
		}
		r.tally.Skipped++
		r.print(fmt.Sprintf("skipped: %s: %s\n", s.name, s.reason))
	}
	for _, name := range r.failed {
		r.print("failed: " + name + "\n")
	}
	r.tally.Failed = len(r.failed)
	if r.tally.Passed+r.tally.Failed == 0 {
		r.print("no test ran\n")
		return false
	}
	return r.tally.Failed == 0
}

// sumUp prints the counts, with those that the run before has left in the file
// add, and leaves them in the file save for the next; either may be empty.
func (r *report) sumUp(save, add string) error {
	if add != "" {
		if err := r.tally.load(add); err != nil {
			return err
		}
	}
	if save != "" {
		if err := r.tally.save(save); err != nil {
			return err
		}
	}
	if save == "" || r.tally.Failed > 0 { // nothing follows a failure
		r.print(r.tally.details())
	}
	if r.tally.Passed+r.tally.Failed > 0 {
		for _, name := range r.again {
			r.print("passed the second time only: " + name + "\n")
		}
		r.print(fmt.Sprintf("%d passed, %d failed, %d skipped\n", r.tally.Passed, r.tally.Failed, r.tally.Skipped))
	}
	return nil
}

// parentOf names the test that name is a subtest of; "" for none.
func parentOf(name string) string {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return ""
	}
	return name[:i]
}

// reason is what a skipped test said, without go test's own lines.
func reason(text []string) string {
	var words []string
	for _, line := range text {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "--- ") {
			words = append(words, line)
		}
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, " ")
}
