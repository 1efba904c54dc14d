//go:build unix

package statussocket

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// serving starts a server on a directory and returns when it can be asked.
func serving(t *testing.T, dir string) *Client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- NewServer(dir).Serve(ctx, ports.LocalCalls{Status: func() ports.Status { return ports.Status{Hostname: "web-3"} }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(filepath.Join(dir, FileName)); err == nil {
			t.Error("the socket is left behind")
		}
	})
	client := NewClient(dir)
	deadline := time.Now().Add(time.Minute)
	for {
		if _, err := client.Status(t.Context()); err == nil {
			return client
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAskingARunningAgent(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 120), strings.Repeat("e", 120))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"short path": t.TempDir(), "path longer than an address": long} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			got, err := serving(t, dir).Status(t.Context())
			is.NoErr(err)
			is.Equal(got, ports.Status{Hostname: "web-3"})
			info, err := os.Stat(filepath.Join(dir, FileName))
			is.NoErr(err)
			is.Equal(info.Mode().Perm(), os.FileMode(0o600))
		})
	}
}

func TestWhatLiesInThePlaceOfTheSocketIsReplaced(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a file":                      func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) },
		"a directory with something":  func(p string) error { return os.MkdirAll(filepath.Join(p, "x"), 0o700) },
		"the socket of a dead server": leaveSocket,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			is := is.New(t)
			is.NoErr(put(filepath.Join(dir, FileName)))
			_, err := serving(t, dir).Status(t.Context())
			is.NoErr(err)
		})
	}
}

// leaveSocket leaves the socket of a server that has ended.
func leaveSocket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

func TestNobodyRuns(t *testing.T) {
	is := is.New(t)
	_, err := NewClient(filepath.Join(t.TempDir(), "missing")).Status(t.Context())
	is.True(errors.Is(err, ports.ErrNotRunning))

	dir := t.TempDir()
	is.NoErr(leaveSocket(filepath.Join(dir, FileName)))
	_, err = NewClient(dir).Status(t.Context())
	is.True(errors.Is(err, ports.ErrNotRunning)) // a dead server's socket
}

func TestAHangingAgentIsNotStopped(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, FileName), Net: "unix"})
	is.NoErr(err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // less than the 2 s of the port
	defer cancel()
	_, err = NewClient(dir).Status(ctx)
	is.True(errors.Is(err, ports.ErrNotAnswering))
}
