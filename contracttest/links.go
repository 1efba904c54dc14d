package contracttest

import (
	"os"
	"path/filepath"
	"testing"
)

// SkipWithoutLinks skips a test where symbolic links cannot be made: under Wine,
// which says that it made one, and for a Windows account without the right.
func SkipWithoutLinks(t testing.TB) {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	err := os.Symlink("nowhere", link)
	if err == nil {
		_, err = os.Lstat(link)
	}
	if err != nil {
		t.Skip("this system makes no symbolic links: ", err)
	}
}
