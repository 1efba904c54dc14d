//go:build unix

package statussocket

import (
	"context"
	"encoding/json"
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

// full is a status in which every field is known.
func full() ports.Status {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	skew := -90 * time.Second
	return ports.Status{
		Version: "1.2.3", State: ports.StateConnected, MachineUID: "muid_x", MachineUIDSource: ports.SourceSystemUUID,
		AgentID: "a", Hostname: "h",
		Credential:  ports.CredentialStatus{Present: true, Source: ports.CredentialStored, StoredAt: at, Protection: "file", Fingerprint: "00112233"},
		Site:        ports.SiteStatus{State: ports.SiteStateRetrying, Since: at, NextAttempt: at.Add(time.Minute), LastError: "e"},
		Manager:     ports.ManagerStatus{State: ports.ManagerStatePending, Polls: 3, NextAttempt: at, LastError: "m"},
		Certificate: ports.CertificateReport{Status: ports.CertValid, NotBefore: at, NotAfter: at.Add(time.Hour), RenewAt: at, Subject: "CN=h", Detail: "d"},
		Relay:       ports.RelayStatus{State: ports.RelayStateConnected, Since: at, LastError: "r"},
		ClockSkew:   &skew, ListenerAddr: "127.0.0.1:12443", Blocked: "b",
	}
}

func TestDecodeReadsWhatEncodeWrote(t *testing.T) {
	is := is.New(t)
	for _, s := range []ports.Status{full(), {State: ports.StateStopped}} {
		got, err := Decode(Encode(s))
		is.NoErr(err)
		is.Equal(got, s)
	}
}

// The names of docs/SPEC.md, "Status", each there even when its value is
// unknown.
func TestEncodeHasEveryField(t *testing.T) {
	want := []string{
		"version", "state", "machine_uid", "machine_uid_source", "agent_id", "hostname",
		"credential.present", "credential.source", "credential.stored_at", "credential.protection", "credential.fingerprint",
		"enrollment.site.state", "enrollment.site.since", "enrollment.site.next_attempt", "enrollment.site.last_error",
		"enrollment.manager.state", "enrollment.manager.polls", "enrollment.manager.next_attempt", "enrollment.manager.last_error",
		"certificate.status", "certificate.not_before", "certificate.not_after", "certificate.renew_at", "certificate.subject", "certificate.detail",
		"relay.state", "relay.since", "relay.last_error", "clock_skew_seconds", "listener.addr",
	}
	for name, s := range map[string]ports.Status{"known": full(), "unknown": {}} {
		var tree map[string]any
		if err := json.Unmarshal(Encode(s), &tree); err != nil {
			t.Fatal(err)
		}
		for _, path := range want {
			var node any = tree
			for _, key := range strings.Split(path, ".") {
				m, _ := node.(map[string]any)
				value, there := m[key]
				if !there {
					t.Errorf("%s: %s is missing", name, path)
				}
				node = value
			}
			if name == "known" && node == nil {
				t.Errorf("%s is null although it is known", path)
			}
		}
	}
}

func calls() ports.LocalCalls {
	return ports.LocalCalls{Status: full, RenewCertificates: func(context.Context) (ports.RenewResult, error) {
		return ports.RenewResult{Code: 2, Line: "an operator must approve"}, nil
	}}
}

func TestAskingForARenewal(t *testing.T) {
	is := is.New(t)
	got, err := serving(t, t.TempDir()).RenewCertificates(t.Context())
	is.NoErr(err)
	is.Equal(got, ports.RenewResult{Code: 2, Line: "an operator must approve"})
	_, err = NewClient(t.TempDir()).RenewCertificates(t.Context())
	is.True(errors.Is(err, ports.ErrNotRunning))
}

// serving starts a server on a directory and returns when it can be asked.
func serving(t *testing.T, dir string) *Client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- NewServer(dir).Serve(ctx, calls()) }()
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
			is.Equal(got, full())
			info, err := os.Stat(filepath.Join(dir, FileName))
			is.NoErr(err)
			is.Equal(info.Mode().Perm(), os.FileMode(0o600))
		})
	}
}

func TestWhatLiesInThePlaceOfTheSocketIsReplaced(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a file":                     func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) },
		"a directory with something": func(p string) error { return os.MkdirAll(filepath.Join(p, "x"), 0o700) },
		"the socket of a dead server": func(p string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		},
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

func TestNobodyRuns(t *testing.T) {
	is := is.New(t)
	_, err := NewClient(t.TempDir()).Status(t.Context())
	is.True(errors.Is(err, ports.ErrNotRunning))
	_, err = NewClient(filepath.Join(t.TempDir(), "missing")).Status(t.Context())
	is.True(errors.Is(err, ports.ErrNotRunning))

	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, FileName), Net: "unix"})
	is.NoErr(err)
	l.SetUnlinkOnClose(false)
	is.NoErr(l.Close())
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
