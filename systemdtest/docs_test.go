package systemdtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tests that docs/CRASH_LOOPS.md names as evidence are there.
func TestCrashLoopsNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/CRASH_LOOPS.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir // not ours: tools, caches
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			declared[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(doc), -1)
	if len(named) < 20 {
		t.Errorf("the document names %d tests; is it still the one that this test means?", len(named))
	}
	for _, name := range named {
		if !declared[name] {
			t.Errorf("docs/CRASH_LOOPS.md names %s, which is no test of this tree", name)
		}
	}
}
