package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/exitcode"
)

func TestTheFlagEnrollTakesTheFlagsOfTheCommand(t *testing.T) {
	s, dir := newSite(t), t.TempDir()
	for _, step := range []struct {
		args     string
		code     exitcode.Code
		requests int64
	}{
		{"--enroll", exitcode.Clean, 1},
		{"--enroll", exitcode.Clean, 1},
		{"--enroll --force", exitcode.Clean, 2},
		{"--force --enroll --wait 1h", exitcode.Clean, 3},
		{"--wait=1h --log-format json --enroll --force", exitcode.Clean, 4},
		{"enroll --force --wait 1h", exitcode.Clean, 5},
	} {
		code, out, errs := call(t, dir, s.environ, strings.Fields(step.args)...)
		if code != step.code || s.requests.Load() != step.requests {
			t.Errorf("%s: code %d, %d requests\n%s\n%s", step.args, code, s.requests.Load(), out, errs)
		}
	}
	is := is.New(t)
	code, _, errs := call(t, t.TempDir(), nil, "--enroll", "--force", "https://"+strings.Repeat("m", 300)+".example.org:0", "--wait", "0")
	is.Equal(code, exitcode.Error)
	is.True(strings.Contains(errs, "MUSTER_MANAGER_URL (flag)")) // the argument got there
}

func TestEnrollmentFlagsThatDoNotGoTogether(t *testing.T) {
	s := newSite(t)
	for args, says := range map[string]string{
		"--enroll --renew-certs":        "--enroll and --renew-certs",
		"--renew-certs --force":         "--force",
		"--renew-certs --wait 1h":       "--wait",
		"--force":                       "--force",
		"--wait 1h":                     "--wait",
		"--enroll --wait -1s":           "--wait -1s",
		"enroll --wait -1s":             "--wait -1s",
		"enroll --wait=-24h":            "--wait -24h",
		"--enroll run":                  "--enroll",
		"--enroll https://a https://b":  "accepts at most 1 arg",
		"--renew-certs https://a":       "https://a",
		"--enroll=false --force":        "--force",
		"run --enroll":                  "--enroll",
		"--renew-certs=false https://a": "https://a",
	} {
		code, out, errs := call(t, t.TempDir(), s.environ, strings.Fields(args)...)
		if code != exitcode.Error || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, says) {
			t.Errorf("%s: code %d\n%s\n%s", args, code, out, errs)
		}
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestEnrollThatDoesNotWaitAsksOnce(t *testing.T) {
	for status, want := range map[int]exitcode.Code{201: exitcode.Clean, 202: exitcode.InProgress, 401: exitcode.Error, 503: exitcode.Error} {
		is := is.New(t)
		s := newSite(t)
		s.status.Store(int64(status))
		began := time.Now()
		code, out, _ := call(t, t.TempDir(), s.environ, "enroll", "--wait", "0")
		is.Equal(code, want)
		is.Equal(s.requests.Load(), int64(1))
		is.True(!strings.Contains(out, "again in"))
		is.True(time.Since(began) < 30*time.Second)
	}
}

func TestEnrollAfterTheKeyWasForgotten(t *testing.T) {
	s, dir := newSite(t), t.TempDir()
	file := filepath.Join(t.TempDir(), "enrollment_key")
	if err := os.WriteFile(file, []byte("cek_aaaaaaaaaaaaaaaa\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keyless := s.environ[:2:2]
	withFile := append(keyless, "MUSTER_ENROLLMENT_KEY_FILE="+file, "MUSTER_FORGET_ENROLLMENT_KEY=true")
	is := is.New(t)
	code, _, _ := call(t, dir, withFile, "enroll")
	is.Equal(code, exitcode.Clean)
	_, err := os.Stat(file)
	is.True(os.IsNotExist(err))
	for name, environ := range map[string][]string{"the file is gone": withFile, "no variable": keyless} {
		code, out, _ := call(t, dir, environ, "enroll")
		if code != exitcode.Clean || !strings.HasPrefix(out, "This machine is enrolled at ") || !strings.Contains(out, "Nothing to do") {
			t.Errorf("%s: code %d\n%s", name, code, out)
		}
		code, out, _ = call(t, dir, environ, "enroll", "--force")
		if code != exitcode.Error || !strings.Contains(out, "the enrollment key is missing: set MUSTER_ENROLLMENT_KEY, or ") || strings.Contains(out, "MUSTER_S") {
			t.Errorf("%s, forced: code %d\n%s", name, code, out)
		}
	}
	is.Equal(s.requests.Load(), int64(1))
}
