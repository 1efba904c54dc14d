package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/muster-agent/muster/adapters/memory"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

// machineIn is the environment of a machine with a state directory of its own.
func machineIn(dir string, more ...string) []string {
	return append([]string{
		"MUSTER_STATE_DIR=" + dir,
		"MUSTER_MACHINE_UID=muid_" + strings.Repeat("0123456789abcdef", 4),
		"MUSTER_LISTEN_ADDR=off",
	}, more...)
}

// call runs the real command line in this process, with nothing in its
// environment but what is given and what machineIn says.
func call(t *testing.T, dir string, environ []string, args ...string) (code exitcode.Code, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, machineIn(dir, environ...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// full is a standard output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// callFull is call with a standard output that takes nothing.
func callFull(t *testing.T, dir string, environ []string, args ...string) (code exitcode.Code, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	code = run(t.Context(), args, machineIn(dir, environ...), strings.NewReader(""), full{}, &errs)
	return code, errs.String()
}

// site is a site's server on loopback.
type site struct {
	environ  []string // for a machine of the site
	status   atomic.Int64
	requests atomic.Int64
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := new(site)
	s.status.Store(http.StatusCreated)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := s.requests.Add(1)
		w.WriteHeader(int(s.status.Load()))
		_, _ = w.Write([]byte(`{"key":"cak_aaaaaaaaaaaaaaaaaaaa` + strconv.FormatInt(n, 10) + `"}`))
	}))
	t.Cleanup(server.Close)
	s.environ = []string{"MUSTER_SERVER_URL=" + server.URL, "MUSTER_SITE_CODE=ACME-HQ", "MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa"}
	return s
}

// counted is a lock that counts how often it was taken and given back.
type counted struct {
	ports.ProcessLock
	taken, returned atomic.Int32
}

func (c *counted) TryLock(context.Context, string) (func() error, error) {
	c.taken.Add(1)
	return func() error { c.returned.Add(1); return nil }, nil
}

// lines is what was logged.
type lines struct{ memory.Output }

// await waits until a text was logged.
func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(l.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was not logged:\n%s", text, l)
		}
	}
}

// squatter is a ports.Guard in a place where somebody else makes the directory
// anew as soon as it is put aside, for so many times.
type squatter struct {
	contracttest.RecordingGuard
	times, aside int
}

func (s *squatter) Claim(path string, readOnly bool) (ports.Recovery, error) {
	if s.times > 0 {
		s.times--
		s.aside++
		return ports.Recovery{File: path, Action: "set aside"}, fs.ErrNotExist
	}
	return s.RecordingGuard.Claim(path, readOnly)
}

func (s *squatter) Mkdir(path string) error {
	if s.times > 0 {
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
	}
	return s.RecordingGuard.Mkdir(path)
}

// powerless is a ports.Guard whose account may make nothing.
type powerless struct {
	contracttest.RecordingGuard
	err error
}

func (p *powerless) Mkdir(path string) error {
	return &fs.PathError{Op: "mkdir", Path: path, Err: p.err}
}

// foreignAt is a ports.Guard for which one path is somebody else's.
type foreignAt struct {
	contracttest.RecordingGuard
	path string
}

func (f *foreignAt) Claim(path string, readOnly bool) (ports.Recovery, error) {
	f.Foreign = path == f.path
	return f.RecordingGuard.Claim(path, readOnly)
}

// alteredAt is a ports.Guard for which others may write one file.
type alteredAt struct {
	contracttest.RecordingGuard
	path string
}

func (a *alteredAt) Unaltered(file *os.File) error {
	if file.Name() == a.path {
		return errors.New("Users may write it")
	}
	return nil
}
