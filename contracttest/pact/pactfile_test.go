package pact_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// pactDir holds the committed pact files.
var pactDir = filepath.Join("..", "pacts")

// pactFile is a pact file, as far as the tests look into it.
type pactFile struct {
	file         string
	text         []byte
	Consumer     struct{ Name string }
	Provider     struct{ Name string }
	Interactions []struct {
		Description    string
		ProviderStates []struct {
			Name   string
			Params map[string]any
		}
	}
}

// pactFiles reads the committed pact files.
func pactFiles(t *testing.T) []pactFile {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(pactDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files []pactFile
	for _, name := range names {
		f := pactFile{file: filepath.Base(name)}
		if f.text, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(f.text, &f); err != nil {
			t.Fatalf("%s is no pact file: %v", name, err)
		}
		files = append(files, f)
	}
	return files
}
