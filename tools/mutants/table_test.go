package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"
)

// The table is of this tree, and each name is given once.
func TestMutantsApply(t *testing.T) {
	names := map[string]bool{}
	for _, m := range table() {
		if names[m.name] {
			t.Errorf("%s: the name is given twice", m.name)
		}
		names[m.name] = true
		sound, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(m.file)))
		is.New(t).NoErr(err)
		if mutated, err := m.apply(string(sound)); err != nil {
			t.Errorf("%s: %v", m.name, err)
		} else if mutated == string(sound) {
			t.Errorf("%s changes nothing", m.name)
		}
	}
	is.New(t).True(len(names) >= 30)
}
