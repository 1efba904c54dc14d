package hostfacts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"
)

// write makes files below root; one whose content is "/" is a directory.
func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	is := is.New(t)
	for name, content := range files {
		path := filepath.Join(root, name)
		if content == "/" {
			is.NoErr(os.MkdirAll(path, 0o755))
			continue
		}
		is.NoErr(os.MkdirAll(filepath.Dir(path), 0o755))
		is.NoErr(os.WriteFile(path, []byte(content), 0o644))
	}
}
