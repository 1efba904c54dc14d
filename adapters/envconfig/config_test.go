package envconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{
		{"MUSTER_MANAGER_URL=https://h"},
		{"MUSTER_SERVER_URL=https://h", "MUSTER_API_KEY=old"},
		{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY=" + enrollKey},
	} {
		if load(t, source(t, "", environ...)).NothingConfigured() {
			t.Errorf("%v: nothing is configured", environ)
		}
	}
	if !load(t, source(t, "", "MUSTER_LOG_LEVEL=debug")).NothingConfigured() {
		t.Error("a log level is something to serve")
	}
}

func TestStateDirectory(t *testing.T) {
	is := is.New(t)
	is.Equal(load(t, source(t, "", "STATE_DIRECTORY=/run/a")).Settings().StateDir, absolute(t, "/run/a"))
	if runtime.GOOS != "windows" {
		c := load(t, source(t, "", "STATE_DIRECTORY=/run/a:/run/b"))
		is.Equal(c.Settings().StateDir, "/run/a") // the first
		is.Equal(c.Settings().CRLFile, "/run/a/certs/crl.pem")
		is.Equal(value(t, c, "MUSTER_STATE_DIR").From, FromDefault)
	}
	t.Chdir(t.TempDir())
	is.Equal(load(t, source(t, "", "STATE_DIRECTORY=/run/a", "MUSTER_STATE_DIR=state")).Settings().StateDir, absolute(t, "state"))
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	is.New(t).NoErr(err)
	return abs
}

func TestPrecedenceAndProvenance(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	src := source(
		t, "MUSTER_LOG_LEVEL=error\nMUSTER_LOG_FORMAT=json\nMUSTER_LABEL_SITE=file\nMUSTER_LABEL_COMPANY=file\nOTHER=ignored\nhttps_proxy=ignored\nHTTP_PROXY=file:1\n",
		"MUSTER_LOG_LEVEL=warn", "MUSTER_LABEL_SITE=environment", "MUSTER_LABEL_COMPANY=", "https_proxy=lower:1", "no_proxy=lower", "NO_PROXY=upper",
	)
	src.Flags = map[string]string{"MUSTER_LOG_LEVEL": "debug", "MUSTER_LOG_FORMAT": ""}
	c := load(t, src)
	file := "file " + src.File
	for _, want := range []Value{
		{"MUSTER_LOG_LEVEL", "debug", FromFlag},
		{"MUSTER_LOG_FORMAT", "json", file}, // an empty flag is not set
		{"MUSTER_LABEL_SITE", "environment", FromEnvironment},
		{"MUSTER_LABEL_COMPANY", "file", file}, // an empty variable is not set
		{"MUSTER_LABEL_DEPARTMENT", "", FromUnset},
		{"MUSTER_LISTEN_ADDR", ":12443", FromDefault},
		{"HTTPS_PROXY", "http://lower:1", FromEnvironment},
		{"HTTP_PROXY", "http://file:1", file},
		{"NO_PROXY", "upper", FromEnvironment},
	} {
		is.Equal(value(t, c, want.Name), want)
	}
	is.Equal(c.Settings().LogLevel, "debug")
	is.Equal(c.Settings().Proxy.HTTPS.Reveal(), "lower:1")
	is.Equal(c.Warnings, nil)
}

func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	src := source(t, "# comment\nMUSTER_SITECODE=x\nPATH=x\n", "MUSTER_SEVER_URL=x", "MUSTER_PORT_443_TCP=tcp://10.0.0.1:443", "MUSTERX=1")
	expect(t, problems(t, src), "MUSTER_SITECODE (file "+src.File+", line 2)|MUSTER_SITE_CODE")

	c := load(t, source(t, "", "MUSTER_SEVER_URL=x", "MUSTER_LOGLEVEL=", "MUSTER_"+enrollKey+"=x", "MUSTERX=1"))
	is.Equal(len(c.Warnings), 3)
	expect(t, c.Warnings, "MUSTER_SEVER_URL (environment)|nearest known one is MUSTER_SERVER_URL|ignored", "MUSTER_LOGLEVEL (environment)|MUSTER_LOG_LEVEL", "MUSTER_[redacted]")

	expect(t, problems(t, Source{File: src.File, Flags: map[string]string{"MUSTER_NOTHING": "x"}}), "MUSTER_SITECODE", "MUSTER_NOTHING (flag)")
}

func TestConfigurationFile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	missing := filepath.Join(t.TempDir(), "agent.env")
	expect(t, problems(t, Source{File: missing}), "file "+missing+"|does not exist")
	expect(t, problems(t, Source{File: t.TempDir()}), "regular file")

	c := load(t, source(t, "MUSTER_LOG_LEVEL=debug\nMUSTER_LOG_LEVEL=warn\nMUSTER_LOG_FORMAT=json\nMUSTER_LOG_FORMAT=\n"))
	is.Equal(c.Settings().LogLevel, "warn")  // the last one counts
	is.Equal(c.Settings().LogFormat, "text") // an empty one too

	big := write(t, "big.env", "#"+strings.Repeat("x", 1<<20-1))
	load(t, Source{File: big})
	is.NoErr(os.WriteFile(big, []byte("#"+strings.Repeat("x", 1<<20)), 0o600))
	expect(t, problems(t, Source{File: big}), "longer than 1024 KiB")
}

func TestDefaultFileMayBeMissing(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(defaultFile(environmentMap(os.Environ()))); !errors.Is(err, fs.ErrNotExist) {
		t.Skip("this machine has a configuration of its own")
	}
	if _, err := Load(Source{}); err != nil {
		t.Error(err)
	}
}

func TestDevBuildsOnly(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	environ := []string{"MUSTER_DEV_INSECURE_HTTP=true", "MUSTER_DEV_INSECURE_TLS=true", "MUSTER_MANAGER_URL=http://manager.example.org", "MUSTER_RELAY_URL=ws://relay.example.org"}
	if devBuild {
		s := load(t, source(t, "", environ...)).Settings()
		is.True(s.DevInsecureHTTP && s.DevInsecureTLS)
		is.Equal(s.ManagerURL.String(), "http://manager.example.org")
		expect(t, problems(t, source(t, "", environ[2:]...)), "MUSTER_MANAGER_URL|use https", "MUSTER_RELAY_URL|use wss")
		return
	}
	expect(t, problems(t, source(t, "MUSTER_DEV_INSECURE_TLS=false", environ...)),
		"MUSTER_DEV_INSECURE_HTTP (environment)|build", "MUSTER_DEV_INSECURE_TLS (environment)|build", "MUSTER_DEV_INSECURE_TLS (file|line 1",
		"MUSTER_MANAGER_URL|use https", "MUSTER_RELAY_URL|use wss")
	expect(t, problems(t, source(t, "", "MUSTER_DEV_INSECURE_TLS=")), "MUSTER_DEV_INSECURE_TLS") // naming it is enough
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	file := write(t, "key", enrollKey)
	src := source(
		t, "MUSTER_SITECODE=ACME\nMUSTER_LOG_FORMAT=xml\nnonsense\n",
		"MUSTER_SERVER_URL=ftp://enroll.example.org", "MUSTER_ENROLLMENT_KEY="+enrollKey, "MUSTER_ENROLLMENT_KEY_FILE="+file,
		"MUSTER_TRUST_CA_FILE=/nowhere/ca.pem", "MUSTER_REENROLL_AFTER=never", "MUSTER_FORGET_ENROLLMENT_KEY=perhaps",
		"MUSTER_TRANSIENT_MIN=1h", "MUSTER_MANAGER_URL=https://me:pw@manager.example.org", "HTTPS_PROXY=ftp://proxy",
	)
	src.Flags = map[string]string{"MUSTER_LOG_LEVEL": "loud"}
	expect(t, problems(t, src),
		"MUSTER_SITECODE (file|line 1|MUSTER_SITE_CODE", "MUSTER_LOG_FORMAT (file|line 2", "line 3|no \"=\"",
		"MUSTER_SERVER_URL (environment)|ftp", "MUSTER_ENROLLMENT_KEY_FILE (environment)|given too", "MUSTER_TRUST_CA_FILE (environment)|does not exist",
		"MUSTER_REENROLL_AFTER (environment)|duration", "MUSTER_FORGET_ENROLLMENT_KEY (environment)|true nor false",
		"MUSTER_TRANSIENT_MIN (environment)|above", "MUSTER_MANAGER_URL (environment)|user name", "HTTPS_PROXY (environment)|scheme",
		"MUSTER_LOG_LEVEL (flag)|none of", "site enrollment|MUSTER_SITE_CODE missing",
	)
}

func TestAMisspeltNameIsNamedBesideWhatItCaused(t *testing.T) {
	t.Parallel()
	src := source(t, "", "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_KODE=A", "MUSTER_ENROLLMENT_KEY="+enrollKey)
	_, err := Load(src)
	if err == nil || !strings.Contains(err.Error(), "MUSTER_SITE_CODE") || !strings.Contains(err.Error(), "MUSTER_SITE_KODE") {
		t.Errorf("got %v; want both names", err)
	}
}
