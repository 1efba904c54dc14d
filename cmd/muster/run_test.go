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

// call runs the real command line in this process, with nothing in its
// environment but what is given and a state directory of its own.
func call(t *testing.T, dir string, environ []string, args ...string) (code exitcode.Code, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	environ = append([]string{
		"MUSTER_STATE_DIR=" + dir,
		"MUSTER_MACHINE_UID=muid_" + strings.Repeat("0123456789abcdef", 4),
		"MUSTER_LISTEN_ADDR=off",
	}, environ...)
	code = run(t.Context(), args, environ, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

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

func TestEveryProblemOfTheConfigurationIsNamedInOneRun(t *testing.T) {
	is := is.New(t)
	code, _, errs := call(t, t.TempDir(), []string{
		"MUSTER_SERVER_URL=ftp://files.example.org", "MUSTER_SITE_KODE=ACME", "MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa",
		"MUSTER_ENROLLMENT_KEY_FILE=/nonexistent/key", "MUSTER_LOG_LEVEL=loud",
	}, "run")
	is.Equal(code, exitcode.Error)
	for _, name := range []string{"ftp", "MUSTER_SITE_CODE", "MUSTER_SITE_KODE", "MUSTER_ENROLLMENT_KEY_FILE", "MUSTER_LOG_LEVEL"} {
		if !strings.Contains(errs, name) {
			t.Errorf("%s is not named:\n%s", name, errs)
		}
	}
	is.True(!strings.Contains(errs, "aaaaaaaa"))
}

func TestAWrongEnrollmentKeyIsToldHowOneBegins(t *testing.T) {
	is := is.New(t)
	code, _, errs := call(t, t.TempDir(), []string{
		"MUSTER_SERVER_URL=https://enroll.example.org", "MUSTER_SITE_CODE=ACME-HQ", "MUSTER_ENROLLMENT_KEY=aaaaaaaaaaaaaaaa",
	}, "run")
	is.Equal(code, exitcode.Error)
	is.True(strings.Contains(errs, "does not begin with cek_ like every enrollment key"))
	is.True(!strings.Contains(errs, "aaaaaaaa"))
}

func TestStatusWithoutAnAgent(t *testing.T) {
	is := is.New(t)
	code, out, _ := call(t, t.TempDir(), nil, "status", "--json")
	is.Equal(code, exitcode.Error)
	is.True(strings.Contains(out, `"state":"stopped"`))
}

func TestConfigRedactsSecretsAndSaysWhereFrom(t *testing.T) {
	is := is.New(t)
	code, out, _ := call(t, t.TempDir(), []string{
		"MUSTER_SERVER_URL=https://enroll.example.org", "MUSTER_SITE_CODE=ACME-HQ", "MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa",
	}, "config", "--log-level", "debug")
	is.Equal(code, exitcode.Clean)
	is.True(!strings.Contains(out, "cek_"))
	for line := range strings.Lines(out) {
		switch fields := strings.Fields(line); fields[0] {
		case "MUSTER_SITE_CODE":
			is.Equal(fields[1:], []string{"ACME-HQ", "environment"})
		case "MUSTER_LOG_LEVEL":
			is.Equal(fields[1:], []string{"debug", "flag"})
		}
	}
}

func TestIdentifySavesOnlyWhenAsked(t *testing.T) {
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "state")
	code, out, _ := call(t, dir, nil, "identify")
	is.Equal(code, exitcode.Clean)
	is.True(strings.Contains(out, "(configured)"))
	_, err := os.Stat(dir)
	is.True(os.IsNotExist(err))
	code, _, _ = call(t, dir, nil, "identify", "--save")
	is.Equal(code, exitcode.Clean)
	_, err = os.Stat(filepath.Join(dir, "identity.json"))
	is.NoErr(err)
}

func TestUnenrollAsksFirst(t *testing.T) {
	is := is.New(t)
	dir := t.TempDir()
	code, _, errs := call(t, dir, nil, "unenroll")
	is.Equal(code, exitcode.Error)
	is.True(strings.Contains(errs, "nothing was removed"))
	code, out, _ := call(t, dir, nil, "unenroll", "--yes")
	is.Equal(code, exitcode.Clean)
	is.True(strings.Contains(out, "nothing to remove"))
}

func TestWrongCallsAreErrors(t *testing.T) {
	for _, args := range [][]string{{"dance"}, {"run", "now"}, {"--nonsense"}, {"enroll", "--wait", "soon"}, {"completion", "tcsh"}, {"completion"}, {"service"}, {"service", "dance"}, {"service", "start", "now"}} {
		if code, _, errs := call(t, t.TempDir(), nil, args...); code != exitcode.Error || errs == "" {
			t.Errorf("%v: code %d, %q", args, code, errs)
		}
	}
}

func TestCompletionsAreThere(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := call(t, t.TempDir(), nil, "completion", shell); code != exitcode.Clean || !strings.Contains(out, "muster") {
			t.Errorf("%s: code %d, %d bytes", shell, code, len(out))
		}
	}
}

func TestToldToStopBeforeItBeganRunEndsClean(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := run(ctx, []string{"run"}, []string{
		"MUSTER_STATE_DIR=" + t.TempDir(), "MUSTER_SERVER_URL=https://127.0.0.1:1", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaa",
		"MUSTER_MACHINE_UID=muid_" + strings.Repeat("0", 64), "MUSTER_LISTEN_ADDR=off",
	}, strings.NewReader(""), &out, &errs)
	is.New(t).Equal(code, exitcode.Clean)
}

func TestTheFlagVersionIsTheCommand(t *testing.T) {
	is := is.New(t)
	_, want, _ := call(t, t.TempDir(), nil, "version")
	code, out, _ := call(t, t.TempDir(), nil, "--version")
	is.Equal(code, exitcode.Clean)
	is.Equal(out, want)
}
