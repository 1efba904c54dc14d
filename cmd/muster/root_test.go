package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/domain/exitcode"
)

func TestVersion(t *testing.T) {
	is := is.New(t)
	code, out, _ := call(t, t.TempDir(), nil, "version", "--json")
	is.Equal(code, exitcode.Clean)
	var v map[string]string
	is.NoErr(json.Unmarshal([]byte(out), &v))
	is.Equal(v["version"], version)
}

func TestNothingConfiguredEndsCleanWithAdvice(t *testing.T) {
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "state")
	code, _, errs := call(t, dir, nil, "run")
	is.Equal(code, exitcode.Clean)
	is.True(strings.Contains(errs, "not_configured"))
	is.True(strings.Contains(errs, "MUSTER_SERVER_URL"))
	is.True(strings.Contains(errs, filepath.Base(envconfig.DefaultFile(nil))))
	if runtime.GOOS == "windows" {
		is.True(strings.Contains(errs, "ProgramData"))
	}
	_, err := os.Stat(dir)
	is.True(os.IsNotExist(err)) // nothing was made
}

func TestWrongCallsAreErrors(t *testing.T) {
	for _, args := range [][]string{{"dance"}, {"run", "now"}, {"--nonsense"}, {"enroll", "--wait", "soon"}, {"completion", "tcsh"}, {"completion"}, {"service"}, {"service", "dance"}, {"service", "start", "now"}} {
		if code, _, errs := call(t, t.TempDir(), nil, args...); code != exitcode.Error || errs == "" {
			t.Errorf("%v: code %d, %q", args, code, errs)
		}
	}
}

func TestToldToStopBeforeItBeganRunEndsClean(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	environ := machineIn(t.TempDir(), "MUSTER_SERVER_URL=https://127.0.0.1:1", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa")
	code := run(ctx, []string{"run"}, environ, strings.NewReader(""), &out, &errs)
	is.New(t).Equal(code, exitcode.Clean)
}

func TestTheFlagVersionIsTheCommand(t *testing.T) {
	is := is.New(t)
	_, want, _ := call(t, t.TempDir(), nil, "version")
	code, out, _ := call(t, t.TempDir(), nil, "--version")
	is.Equal(code, exitcode.Clean)
	is.Equal(out, want)
}
