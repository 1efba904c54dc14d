package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// documented is a row of a table of docs/CONFIGURATION.md: one variable with
// its default, or the two of a class with theirs.
var documented = regexp.MustCompile("(?m)^\\| `(MUSTER_\\w+)`(?: `(MUSTER_\\w+)`)? \\| `([^`<M][^`]*)`(?: `([^`]+)`)? \\|")

// TestTheDocumentedDefaultsAreInForce holds the table of delays, and every other
// default that is written as a value, against what a machine runs with that is
// told nothing.
func TestTheDocumentedDefaultsAreInForce(t *testing.T) {
	is := is.New(t)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "CONFIGURATION.md"))
	is.NoErr(err)
	_, out, _ := call(t, t.TempDir(), []string{"MUSTER_LISTEN_ADDR="}, "config")
	inForce := map[string]string{}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "default" {
			inForce[fields[0]] = fields[1]
		}
	}
	delays := 0
	for _, row := range documented.FindAllStringSubmatch(string(page), -1) {
		for i, name := range row[1:3] {
			if want := row[3+i]; name != "" && inForce[name] != want {
				t.Errorf("%s is %q, documented as %q", name, inForce[name], want)
			}
			if strings.HasSuffix(name, "_MIN") || strings.HasSuffix(name, "_MAX") {
				delays++
			}
		}
	}
	is.Equal(delays, 6) // the table was read
}
