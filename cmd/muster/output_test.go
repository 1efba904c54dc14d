package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/statussocket"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

func TestAResultThatCannotBeWrittenIsAnError(t *testing.T) {
	for _, args := range []string{
		"config", "version", "version --json", "--version", "identify", "identify --json", "identify --save", "status", "status --json",
		"renew-certs", "--help", "help run", "", "completion bash", "completion zsh", "completion fish", "completion powershell",
	} {
		code, errs := callFull(t, t.TempDir(), nil, strings.Fields(args)...)
		if code != exitcode.Error || strings.Count(errs, syscall.ENOSPC.Error()) != 1 {
			t.Errorf("%q: code %d\n%s", args, code, errs)
		}
	}
}

func TestAnEnrollmentIsMadeThoughNobodyCanBeTold(t *testing.T) {
	is := is.New(t)
	s, dir := newSite(t), t.TempDir()
	code, errs := callFull(t, dir, s.environ, "enroll")
	is.Equal(code, exitcode.Clean) // a script goes by the code
	is.True(strings.Contains(errs, syscall.ENOSPC.Error()))
	is.Equal(s.requests.Load(), int64(1))
	_, err := os.Stat(filepath.Join(dir, "credentials", "agent.cak"))
	is.NoErr(err)

	s.status.Store(202)
	code, _ = callFull(t, t.TempDir(), s.environ, "enroll", "--wait", "0")
	is.Equal(code, exitcode.InProgress)
}

func TestAStatusThatNobodySawIsAnErrorWhateverItIs(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- statussocket.NewServer(dir).Serve(ctx, ports.LocalCalls{Status: func() ports.Status { return ports.Status{State: ports.StatePending} }})
	}()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if code, _, errs := call(t, dir, nil, "status"); code == exitcode.InProgress {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("code %d: %s", code, errs)
		}
	}
	if code, _ := callFull(t, dir, nil, "status"); code != exitcode.Error {
		t.Errorf("code %d", code)
	}
}
