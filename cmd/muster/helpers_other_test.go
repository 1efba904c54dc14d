//go:build !unix

package main

import (
	"os"
	"testing"

	"github.com/matryer/is"
)

func endedByACrash(t *testing.T, ended *os.ProcessState) {
	t.Helper()
	is.New(t).Equal(ended.ExitCode(), crashCode)
}
