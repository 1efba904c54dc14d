package contracttest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestContributingShowsRealFiles keeps the examples of CONTRIBUTING.md true:
// each is the text of the file that the line before it names, and short.
func TestContributingShowsRealFiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)`(adapters/[^`]+_test\\.go)`:\n\n```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	if shown := strings.Count(string(text), "```go\n"); len(examples) < 2 || len(examples) != shown {
		t.Errorf("CONTRIBUTING.md shows %d files, %d of them named; want at least 2, each named", shown, len(examples))
	}
	for _, e := range examples {
		real, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(e[1])))
		if err != nil {
			t.Error(err)
		} else if string(real) != e[2] {
			t.Errorf("CONTRIBUTING.md shows another text of %s than it has:\n%s", e[1], real)
		}
		if lines := strings.Count(e[2], "\n"); lines >= 15 {
			t.Errorf("%s has %d lines; an adapter's test of its suite should take fewer than 15", e[1], lines)
		}
	}
}
