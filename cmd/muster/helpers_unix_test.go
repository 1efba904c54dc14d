//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

func endedByACrash(t *testing.T, ended *os.ProcessState) {
	t.Helper()
	is := is.New(t)
	status, ok := ended.Sys().(syscall.WaitStatus)
	is.True(ok)
	is.True(status.Signaled())
	is.Equal(status.Signal(), syscall.SIGABRT)
	is.True(!status.CoreDump())
}
