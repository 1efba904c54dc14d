package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// panics makes the test's own binary a program that panics as muster would.
const panics = "MUSTER_TEST_PANICS"

func TestMain(m *testing.M) {
	if os.Getenv(panics) != "" {
		defer crashHonestly()()
		panic("on purpose")
	}
	os.Exit(m.Run())
}

func TestAPanicDoesNotLookLikeAnExitCode(t *testing.T) {
	is := is.New(t)
	self, err := os.Executable()
	is.NoErr(err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), panics+"=yes")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	is.True(err != nil)
	is.True(strings.Contains(string(out), "on purpose"))
	is.True(strings.Contains(string(out), "crash_test.go")) // where
	endedByACrash(t, cmd.ProcessState)                      // neither 0, 1 nor 2
	left, err := os.ReadDir(cmd.Dir)
	is.NoErr(err)
	is.Equal(len(left), 0) // no core file
}
