package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, d *Disk, path string) *Folder {
	t.Helper()
	f, err := d.Open(path)
	must(t, err)
	t.Cleanup(f.Close)
	return f
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

// tree lists everything below path but directories, relative to it.
func tree(t testing.TB, path string) (files []string) {
	t.Helper()
	must(t, filepath.WalkDir(path, func(p string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			p, err = filepath.Rel(path, p)
			files = append(files, filepath.ToSlash(p))
		}
		return err
	}))
	return files
}

// calls keeps the calls to the file system in mind.
type calls []Op

func (c *calls) around(op Op, _ string, call func() error) error {
	*c = append(*c, op)
	return call()
}
