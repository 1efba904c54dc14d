package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestReport reads what the real go test says of a module of its own, one
// folder a case.
func TestReport(t *testing.T) {
	saying := module(t, map[string]string{
		"pass/a_test.go":   header + "func TestA(t *testing.T) { t.Run(`x`, func(*testing.T) {}); t.Run(`y`, func(*testing.T) {}) }\nfunc TestB(*testing.T) {}\n",
		"fail/a_test.go":   header + "func TestA(t *testing.T) { t.Run(`x`, func(t *testing.T) { t.Error(`the words of x`) }) }\nfunc TestB(*testing.T) {}\n",
		"parent/a_test.go": header + "func TestA(t *testing.T) { t.Run(`x`, func(*testing.T) {}); t.Error(`the words of A`) }\n",
		"skip/a_test.go":   header + "func TestA(t *testing.T) { t.Skip(`no moon tonight`) }\nfunc TestB(*testing.T) {}\n",
		"stray/a_test.go":  importing("fmt") + "func TestA(*testing.T) { fmt.Println(\"\\ta_test.go:8: the words of an assertion\") }\nfunc TestB(t *testing.T) { t.Fail() }\n",
		"panics/a_test.go": header + "func TestA(t *testing.T) { t.Run(`x`, func(*testing.T) { panic(`the words of the panic`) }) }\n",
		"exits/a_test.go":  importing("os") + "func TestMain(*testing.M) { println(`the words of main`); os.Exit(3) }\nfunc TestA(*testing.T) {}\n",
		"broken/a_test.go": header + "func TestA(t *testing.T) { undefinedName() }\n",
		"none/a.go":        "package m\n",
	})
	for _, c := range []struct {
		folders string
		strict  bool
		ok      bool
		wants   []string
	}{
		{"pass", true, true, []string{"3 passed, 0 failed, 0 skipped\n", "ok    m/pass "}},
		{"fail", false, false, []string{"1 passed, 1 failed, 0 skipped\n", "the words of x", "failed: m/fail.TestA/x\n"}},
		{"stray", false, false, []string{"1 passed, 1 failed, 0 skipped\n", "\ta_test.go:8: the words of an assertion\n"}},
		{"parent", false, false, []string{"1 passed, 1 failed, 0 skipped\n", "the words of A", "failed: m/parent.TestA\n"}},
		{"skip", false, true, []string{"1 passed, 0 failed, 1 skipped\n", "skipped: m/skip.TestA: ", "no moon tonight"}},
		{"skip", true, false, []string{"1 passed, 1 failed, 0 skipped\n", "failed: m/skip.TestA (skipped", "no moon tonight"}},
		{"panics", false, false, []string{"0 passed, 1 failed, 0 skipped\n", "the words of the panic", "failed: m/panics.TestA/x\n"}},
		{"exits", false, false, []string{"0 passed, 1 failed, 0 skipped\n", "the words of main"}},
		{"broken", false, false, []string{"0 passed, 1 failed, 0 skipped\n", "undefined: undefinedName", "m/broken (does not build)"}},
		{"none", false, false, []string{"no test ran"}},
		{"pass broken fail", false, false, []string{"4 passed, 2 failed, 0 skipped\n"}},
	} {
		var out strings.Builder
		r := newReport(&out)
		if err := r.read(saying(c.folders)); err != nil {
			t.Fatal(err)
		}
		ok := r.close(c.strict, nil)
		if err := r.sumUp("", ""); ok != c.ok || err != nil {
			t.Errorf("%s: ok = %v (error %v); the report:\n%s", c.folders, ok, err, &out)
		}
		for _, want := range c.wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the report does not say %q; it says:\n%s", c.folders, want, &out)
			}
		}
	}

	write(t, "skips", "# a comment\nm/skip.TestA: there is no moon in CI\n")
	allowed, err := readAllowedSkips("skips")
	r := newReport(io.Discard)
	if err := errors.Join(err, r.read(saying("skip"))); err != nil {
		t.Fatal(err)
	}
	if !r.close(true, allowed) {
		t.Error("a skip that is allowed with a reason fails")
	}
	write(t, "skips", "m/skip.TestA\n")
	if _, err := readAllowedSkips("skips"); err == nil {
		t.Error("a skip that is allowed without a reason passes")
	}
}

// TestRun lets go test run, and again where something failed.
func TestRun(t *testing.T) {
	module(t, map[string]string{
		"pass/a_test.go":    header + "func TestA(*testing.T) {}\n",
		"fail/a_test.go":    header + "func TestA(t *testing.T) { t.Error(`the words of A`) }\nfunc TestB(*testing.T) {}\n",
		"skip/a_test.go":    header + "func TestA(t *testing.T) { t.Skip(`no moon tonight`) }\n",
		"broken/a_test.go":  header + "func TestA(t *testing.T) { undefinedName() }\n",
		"second/a_test.go":  importing("os") + "func TestA(t *testing.T) { t.Run(`x`, func(t *testing.T) { if os.Mkdir(`seen`, 0o700) == nil { t.Error(`the words of x`) } }) }\nfunc TestB(*testing.T) {}\n",
		"restart/a_test.go": importing("os") + "func TestA(*testing.T) {}\nfunc TestB(*testing.T) { if os.Mkdir(`seen`, 0o700) == nil { panic(`the words of the panic`) } }\nfunc TestC(*testing.T) {}\n",
		"skips":             "",
	})
	for _, c := range []struct {
		args  string
		ok    bool
		wants []string
	}{
		{"-save=counts ./pass", true, []string{"1 passed, 0 failed, 0 skipped\n"}},
		{"-add=counts ./absent", false, nil},
		{"-add=counts -again ./pass ./second ./restart", true, []string{
			"the words of x", "the words of the panic",
			"passed the second time only: m/restart.TestB\npassed the second time only: m/second.TestA/x\n7 passed, 0 failed, 0 skipped\n",
		}},
		{"-again ./fail ./broken ./skip", false, []string{"failed: m/fail.TestA\n", "1 passed, 3 failed, 0 skipped\n"}},
	} {
		var out strings.Builder
		ok, err := run(append(strings.Fields(c.args), "-vet=off"), "skips", &out)
		if ok != c.ok {
			t.Errorf("%s: ok = %v (error %v); the report:\n%s", c.args, ok, err, &out)
		}
		for _, want := range c.wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the report does not say %q; it says:\n%s", c.args, want, &out)
			}
		}
	}
}

// Two packages run a suite, one of them twice, and a third is of pact; the
// counts of a run that is followed by another are the other's too.
func TestSuitesAndInteractions(t *testing.T) {
	const (
		suite = "func suite(t *testing.T) { t.Attr(`contract-suite`, `Store`); t.Run(`a`, func(*testing.T) {}); t.Run(`b`, func(t *testing.T) { t.Run(`c`, func(*testing.T) {}) }) }\n"
		pact  = "func TestA(t *testing.T) { t.Attr(`pact-interaction-written`, `one`); t.Attr(`pact-interaction-written`, `one`); t.Attr(`pact-interaction-written`, `another one`); t.Attr(`pact-interaction-verified`, `one`) }\n"
	)
	saying := module(t, map[string]string{
		"adapters/x/a_test.go":    header + suite + "func TestA(t *testing.T) { suite(t) }\nfunc TestB(*testing.T) {}\n",
		"adapters/y/a_test.go":    header + suite + "func TestA(t *testing.T) { t.Run(`1`, suite); t.Run(`2`, suite) }\n",
		"adapters/z/a_test.go":    header + "func TestA(t *testing.T) { t.Attr(`contract-suite`, `Store`); t.Run(`a`, func(*testing.T) {}); t.Run(`b`, func(t *testing.T) { t.Fail() }) }\n",
		"pact/a_test.go":          header + pact,
		"other/a_test.go":         header + "func TestA(t *testing.T) { t.Attr(`colour`, `blue`) }\n",
		"adapters/w/none_test.go": header + "func TestA(t *testing.T) { t.Attr(`contract-suite`, `Empty`); t.Run(`a`, func(t *testing.T) { t.Fail() }) }\n",
	})
	closing := func(folders, save, add string) string {
		t.Helper()
		var out strings.Builder
		r := newReport(&out)
		if err := r.read(saying(folders)); err != nil {
			t.Fatal(err)
		}
		r.close(false, nil)
		if err := r.sumUp(save, add); err != nil {
			t.Errorf("%s: %v", folders, err)
		}
		_, after, _ := strings.Cut(out.String(), "\n\n")
		return after
	}
	for _, c := range []struct{ folders, save, add, want string }{
		{"adapters/x adapters/y", "", "", "suites:\n  Store               x 2, y 4\n7 passed, 0 failed, 0 skipped\n"},
		{"adapters/z", "", "", "failed: m/adapters/z.TestA/b\nsuites:\n  Store               z 1\n1 passed, 1 failed, 0 skipped\n"},
		{"adapters/w", "", "", "failed: m/adapters/w.TestA/a\nsuites:\n  Empty               w 0\n0 passed, 1 failed, 0 skipped\n"},
		{"pact", "", "", "pact: 2 interactions written, 1 verified\n1 passed, 0 failed, 0 skipped\n"},
		{"other", "", "", "1 passed, 0 failed, 0 skipped\n"},
		{"adapters/x", "t", "", "3 passed, 0 failed, 0 skipped\n"},
		{"adapters/y", "u", "t", "7 passed, 0 failed, 0 skipped\n"},
		{"pact", "", "u", "suites:\n  Store               x 2, y 4\npact: 2 interactions written, 1 verified\n8 passed, 0 failed, 0 skipped\n"},
		{"other", "", "absent", "1 passed, 0 failed, 0 skipped\n"},
	} {
		if got := closing(c.folders, c.save, c.add); got != c.want {
			t.Errorf("%s closes with\n%s\nwant\n%s", c.folders, got, c.want)
		}
	}
	write(t, "damaged", "{")
	if ok, err := run([]string{"-save=t", "-add=damaged", "./other"}, "", io.Discard); ok || err == nil {
		t.Error("counts that cannot be read are passed over")
	}
}
