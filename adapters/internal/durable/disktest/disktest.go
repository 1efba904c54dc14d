// Package disktest writes, reads and lists files, for tests of what lies on
// disk.
package disktest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Must ends the test with an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Write makes a file, and the directories on the way to it.
func Write(t testing.TB, path, content string) {
	t.Helper()
	Must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	// Anew: ext4 writes a file that was truncated to the disk at once.
	Must(t, os.RemoveAll(path))
	Must(t, os.WriteFile(path, []byte(content), 0o600))
}

// Read is what a file holds.
func Read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	Must(t, err)
	return string(data)
}

// Tree lists everything below path but directories, relative to it.
func Tree(t testing.TB, path string) (files []string) {
	t.Helper()
	Must(t, filepath.WalkDir(path, func(p string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			p, err = filepath.Rel(path, p)
			files = append(files, filepath.ToSlash(p))
		}
		return err
	}))
	return files
}
