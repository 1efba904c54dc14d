package durable

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"
)

// TestAFileThatAScannerHolds shows that one who looks at a file for a moment,
// and lets nobody delete it meanwhile, does not keep it from being replaced.
func TestAFileThatAScannerHolds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"old", "new"} {
		is := is.New(t)
		dir := t.TempDir()
		is.NoErr(os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o600))
		is.NoErr(os.WriteFile(filepath.Join(dir, "new"), []byte("new"), 0o600))
		path, err := windows.UTF16PtrFromString(filepath.Join(dir, name))
		is.NoErr(err)
		scanner, err := windows.CreateFile(path, windows.GENERIC_READ, windows.FILE_SHARE_READ, nil, windows.OPEN_EXISTING, 0, 0)
		is.NoErr(err)
		is.True(rename(nil, dir, "new", "old") != nil) // for longer than a moment
		time.AfterFunc(50*time.Millisecond, func() { _ = windows.CloseHandle(scanner) })
		is.NoErr(rename(nil, dir, "new", "old"))
		content, err := os.ReadFile(filepath.Join(dir, "old"))
		is.NoErr(err)
		is.Equal(string(content), "new")
	}
}
