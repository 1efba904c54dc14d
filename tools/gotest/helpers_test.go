package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const header = "package m\n\nimport \"testing\"\n\n"

// importing is a header with one more package.
func importing(name string) string {
	return "package m\n\nimport (\n\t\"" + name + "\"\n\t\"testing\"\n)\n\n"
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// module makes a module m of files, goes there, and lets go test run all of it
// once. saying gives what that said of some of its folders.
func module(t *testing.T, files map[string]string) (saying func(folders string) io.Reader) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "go.mod", "module m\n\ngo 1.26\n")
	for name, text := range files {
		write(t, name, text)
	}
	all := sync.OnceValue(func() []byte {
		out, err := exec.Command("go", "test", "-json", "-vet=off", "./...").Output()
		if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		return out
	})
	return func(folders string) io.Reader {
		var said bytes.Buffer
		for line := range bytes.Lines(all()) {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			of, _, _ := strings.Cut(cmp.Or(e.Package, e.ImportPath), " ")
			if slices.Contains(strings.Fields(folders), strings.TrimPrefix(of, "m/")) {
				said.Write(line)
			}
		}
		return &said
	}
}
