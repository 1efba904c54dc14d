package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/exitcode"
)

// The service's runtime directory, or another unit's, is none of its business.
func TestUnenrollTouchesNoRuntimeDirectory(t *testing.T) {
	is := is.New(t)
	runtime := filepath.Join(t.TempDir(), "runtime")
	for _, args := range [][]string{{"unenroll"}, {"unenroll", "--yes"}} {
		code, _, _ := call(t, t.TempDir(), []string{"RUNTIME_DIRECTORY=" + runtime}, args...)
		is.Equal(code == exitcode.Clean, len(args) == 2) // else nobody confirmed
		_, err := os.Lstat(runtime)
		is.True(os.IsNotExist(err))
	}
}
