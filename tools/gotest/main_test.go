package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun drives the real go test over a module of its own, one folder a
// case.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                  "module m\n\ngo 1.26\n",
		"pass/a_test.go":          header + "func TestA(t *testing.T) { t.Run(`x`, func(*testing.T) {}); t.Run(`y`, func(*testing.T) {}) }\nfunc TestB(*testing.T) {}\n",
		"fail/a_test.go":          header + "func TestA(t *testing.T) { t.Run(`x`, func(t *testing.T) { t.Error(`the words of x`) }) }\nfunc TestB(*testing.T) {}\n",
		"parent/a_test.go":        header + "func TestA(t *testing.T) { t.Run(`x`, func(*testing.T) {}); t.Error(`the words of A`) }\n",
		"skip/a_test.go":          header + "func TestA(t *testing.T) { t.Skip(`no moon tonight`) }\nfunc TestB(*testing.T) {}\n",
		"stray/a_test.go":         "package m\n\nimport (\n\t\"fmt\"\n\t\"testing\"\n)\n\nfunc TestA(*testing.T) { fmt.Println(\"\\ta_test.go:8: the words of an assertion\") }\nfunc TestB(t *testing.T) { t.Fail() }\n",
		"panics/a_test.go":        header + "func TestA(t *testing.T) { t.Run(`x`, func(*testing.T) { panic(`the words of the panic`) }) }\n",
		"exits/a_test.go":         "package m\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(*testing.M) { println(`the words of main`); os.Exit(3) }\nfunc TestA(*testing.T) {}\n",
		"broken/a_test.go":        header + "func TestA(t *testing.T) { undefinedName() }\n",
		"none/a.go":               "package m\n",
		"second/a_test.go":        "package m\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestA(t *testing.T) { t.Run(`x`, func(t *testing.T) { if os.Mkdir(`seen`, 0o700) == nil { t.Error(`the words of x`) } }) }\nfunc TestB(*testing.T) {}\n",
		"restart/a_test.go":       "package m\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestA(*testing.T) {}\nfunc TestB(*testing.T) { if os.Mkdir(`seen`, 0o700) == nil { panic(`the words of the panic`) } }\nfunc TestC(*testing.T) {}\n",
		"tools/allowed-skips.txt": "",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	t.Chdir(dir)

	for _, c := range []struct {
		folders []string
		strict  bool
		ok      bool
		wants   []string
	}{
		{[]string{"./pass"}, true, true, []string{"3 passed, 0 failed, 0 skipped\n", "ok    m/pass "}},
		{[]string{"./fail"}, false, false, []string{"1 passed, 1 failed, 0 skipped\n", "the words of x", "failed: m/fail.TestA/x\n"}},
		{[]string{"./stray"}, false, false, []string{"1 passed, 1 failed, 0 skipped\n", "\ta_test.go:8: the words of an assertion\n"}},
		{[]string{"./parent"}, false, false, []string{"1 passed, 1 failed, 0 skipped\n", "the words of A", "failed: m/parent.TestA\n"}},
		{[]string{"./skip"}, false, true, []string{"1 passed, 0 failed, 1 skipped\n", "skipped: m/skip.TestA: ", "no moon tonight"}},
		{[]string{"./skip"}, true, false, []string{"1 passed, 1 failed, 0 skipped\n", "failed: m/skip.TestA (skipped", "no moon tonight"}},
		{[]string{"./panics"}, false, false, []string{"0 passed, 1 failed, 0 skipped\n", "the words of the panic", "failed: m/panics.TestA/x\n"}},
		{[]string{"./exits"}, false, false, []string{"0 passed, 1 failed, 0 skipped\n", "the words of main"}},
		{[]string{"./broken"}, false, false, []string{"0 passed, 1 failed, 0 skipped\n", "undefined: undefinedName", "m/broken (does not build)"}},
		{[]string{"./none"}, false, false, []string{"no test ran"}},
		{[]string{"./absent"}, false, false, nil},
		{[]string{"./pass", "./broken", "./fail"}, false, false, []string{"4 passed, 2 failed, 0 skipped\n"}},
	} {
		name := strings.Join(c.folders, " ")
		var out strings.Builder
		skips := ""
		if c.strict {
			skips = "tools/allowed-skips.txt"
		}
		ok, err := run(append([]string{"-vet=off"}, c.folders...), skips, &out)
		if ok != c.ok {
			t.Errorf("%s: ok = %v (error %v); the report:\n%s", name, ok, err, &out)
		}
		for _, want := range c.wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the report does not say %q; it says:\n%s", name, want, &out)
			}
		}
	}

	for _, c := range []struct {
		folders []string
		ok      bool
		wants   []string
	}{
		{[]string{"./pass", "./second"}, true, []string{"the words of x", "passed the second time only: m/second.TestA/x\n5 passed, 0 failed, 0 skipped\n"}},
		{[]string{"./restart"}, true, []string{"the words of the panic", "passed the second time only: m/restart.TestB\n3 passed, 0 failed, 0 skipped\n"}},
		{[]string{"./pass", "./fail"}, false, []string{"failed: m/fail.TestA/x\n", "4 passed, 1 failed, 0 skipped\n"}},
		{[]string{"./broken"}, false, []string{"0 passed, 1 failed, 0 skipped\n"}},
		{[]string{"./skip"}, false, []string{"1 passed, 1 failed, 0 skipped\n"}},
	} {
		var out strings.Builder
		ok, err := run(append([]string{"-again", "-vet=off"}, c.folders...), "tools/allowed-skips.txt", &out)
		if ok != c.ok {
			t.Errorf("again: %v: ok = %v (error %v); the report:\n%s", c.folders, ok, err, &out)
		}
		for _, want := range c.wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("again: %v: the report does not say %q; it says:\n%s", c.folders, want, &out)
			}
		}
	}

	write(t, "tools/allowed-skips.txt", "# a comment\nm/skip.TestA: there is no moon in CI\n")
	if ok, err := run([]string{"./skip"}, "tools/allowed-skips.txt", &strings.Builder{}); !ok {
		t.Errorf("a skip that is allowed with a reason fails: %v", err)
	}
	write(t, "tools/allowed-skips.txt", "m/skip.TestA\n")
	if ok, err := run([]string{"./skip"}, "tools/allowed-skips.txt", &strings.Builder{}); ok || err == nil {
		t.Error("a skip that is allowed without a reason passes")
	}
}

const header = "package m\n\nimport \"testing\"\n\n"

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Two packages run a suite, one of them twice, and a third is of pact; the
// counts of a run that is followed by another are the other's too.
func TestSuitesAndInteractions(t *testing.T) {
	dir := t.TempDir()
	const (
		suite = "func suite(t *testing.T) { t.Attr(`contract-suite`, `Store`); t.Run(`a`, func(*testing.T) {}); t.Run(`b`, func(t *testing.T) { t.Run(`c`, func(*testing.T) {}) }) }\n"
		pact  = "func TestA(t *testing.T) { t.Attr(`pact-interaction-written`, `one`); t.Attr(`pact-interaction-written`, `one`); t.Attr(`pact-interaction-written`, `another one`); t.Attr(`pact-interaction-verified`, `one`) }\n"
	)
	for name, text := range map[string]string{
		"go.mod":                  "module m\n\ngo 1.26\n",
		"adapters/x/a_test.go":    header + suite + "func TestA(t *testing.T) { suite(t) }\nfunc TestB(*testing.T) {}\n",
		"adapters/y/a_test.go":    header + suite + "func TestA(t *testing.T) { t.Run(`1`, suite); t.Run(`2`, suite) }\n",
		"adapters/z/a_test.go":    header + "func TestA(t *testing.T) { t.Attr(`contract-suite`, `Store`); t.Run(`a`, func(*testing.T) {}); t.Run(`b`, func(t *testing.T) { t.Fail() }) }\n",
		"pact/a_test.go":          header + pact,
		"other/a_test.go":         header + "func TestA(t *testing.T) { t.Attr(`colour`, `blue`) }\n",
		"adapters/w/none_test.go": header + "func TestA(t *testing.T) { t.Attr(`contract-suite`, `Empty`); t.Run(`a`, func(t *testing.T) { t.Fail() }) }\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	t.Chdir(dir)
	closing := func(args ...string) string {
		t.Helper()
		var out strings.Builder
		if _, err := run(args, "", &out); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		_, after, _ := strings.Cut(out.String(), "\n\n")
		return after
	}
	for _, c := range []struct {
		args string
		want string
	}{
		{"./adapters/x ./adapters/y", "suites:\n  Store               x 2, y 4\n7 passed, 0 failed, 0 skipped\n"},
		{"./adapters/z", "failed: m/adapters/z.TestA/b\nsuites:\n  Store               z 1\n1 passed, 1 failed, 0 skipped\n"},
		{"./adapters/w", "failed: m/adapters/w.TestA/a\nsuites:\n  Empty               w 0\n0 passed, 1 failed, 0 skipped\n"},
		{"./pact", "pact: 2 interactions written, 1 verified\n1 passed, 0 failed, 0 skipped\n"},
		{"./other", "1 passed, 0 failed, 0 skipped\n"},
		{"-save=t ./adapters/x", "3 passed, 0 failed, 0 skipped\n"},
		{"-add=t -save=u ./adapters/y", "7 passed, 0 failed, 0 skipped\n"},
		{"-add=u ./pact", "suites:\n  Store               x 2, y 4\npact: 2 interactions written, 1 verified\n8 passed, 0 failed, 0 skipped\n"},
		{"-add=absent ./other", "1 passed, 0 failed, 0 skipped\n"},
	} {
		if got := closing(strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s closes with\n%s\nwant\n%s", c.args, got, c.want)
		}
	}
	write(t, "damaged", "{")
	if ok, err := run([]string{"-add=damaged", "./other"}, "", &strings.Builder{}); ok || err == nil {
		t.Error("counts that cannot be read are passed over")
	}
}
