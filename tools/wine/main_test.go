package main

import (
	"bytes"
	"debug/pe"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestEachChangeHasItsPlaceInThisGo(t *testing.T) {
	t.Parallel()
	path, err := writeOverlay(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Replace) != len(changes) {
		t.Errorf("%d files are replaced for %d changes", len(list.Replace), len(changes))
	}
	for before, after := range list.Replace {
		old, err := os.ReadFile(before)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := os.ReadFile(after)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(old, changed) {
			t.Errorf("%s is not changed", before)
		}
	}
}

func TestAnotherGoIsNotChangedBlindly(t *testing.T) {
	t.Parallel()
	for _, c := range changes {
		if _, err := c.apply([]byte("package windows\n\nfunc other() {}\n")); err == nil || !strings.Contains(err.Error(), "0 places") {
			t.Errorf("%s: got %v", c.file, err)
		}
	}
}

func TestTheStubIsALibrary(t *testing.T) {
	t.Parallel()
	file, err := pe.NewFile(bytes.NewReader(randomnessDLL()))
	if err != nil {
		t.Fatal(err)
	}
	header, ok := file.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || file.Characteristics&pe.IMAGE_FILE_DLL == 0 || len(file.Sections) != 1 ||
		header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT].VirtualAddress != file.Sections[0].VirtualAddress {
		t.Errorf("%+v", file)
	}
}
