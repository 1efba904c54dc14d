package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

// standInVariable makes the test's own binary a stand-in for the agent, so
// that the demo itself is tested without building the real one. Its value is
// what the stand-in does wrong.
const standInVariable = "FAKESERVER_TEST_STAND_IN"

func TestMain(m *testing.M) {
	if fault, ok := os.LookupEnv(standInVariable); ok {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		os.Exit(standInMain(ctx, fault))
	}
	os.Exit(m.Run())
}

func TestDemo(t *testing.T) {
	var stdout strings.Builder
	stderr, code := playDemo(t.Context(), t, "nothing", &stdout)
	is := is.New(t)
	is.Equal(stderr, "")
	is.Equal(code, 0)
	for _, text := range []string{
		"1. A new machine", "v1 (", "did not enroll again", "operator confirms",
		"the stand-in is pending", "did not register again", "is answered:\n        {\"status\":\"serving\"", "none failed", "the stand-in is blocked", "serves again",
		"9. The machines", "Nothing is left behind",
	} {
		is.True(strings.Contains(stdout.String(), text)) // it tells
	}
}

func TestDemoFailsWhenTheAgentDoes(t *testing.T) {
	faults := map[string]string{
		"forgets the key":      "step 1 did not go as told: the key is not stored",
		"enrolls again":        "step 2 did not go as told: it asked to enroll again",
		"gives up":             "step 3 did not go as told: waited in vain until it has asked twice: the agent of desk-2 ended by itself",
		"registers again":      "step 5 did not go as told: it registered 2 times",
		"serves anyone":        "step 6 did not go as told: it answered a client that has no certificate",
		"fails while renewing": "step 7 did not go as told: request 3 over a new connection: the answer was 503",
		"drops connections":    "step 7 did not go as told: the connection that was to stay open was lost",
		"crashes on damage":    "step 8 did not go as told: the agent of web-1 ended by itself",
		"does not connect":     "the agent of desk-1 ended by itself",
	}
	if runtime.GOOS != "windows" { // where the demo cannot tell an agent to stop, so that its exit code says nothing
		faults["ends with 3"] = "step 9 did not go as told: the agent of desk-1 was told to stop and ended with 3"
	}
	for fault, told := range faults {
		t.Run(fault, func(t *testing.T) {
			is := is.New(t)
			var stdout strings.Builder
			stderr, code := playDemo(t.Context(), t, fault, &stdout)
			is.Equal(code, 1)
			is.True(strings.Contains(stdout.String(), "FAILED"))
			if !strings.Contains(stderr, told) {
				t.Errorf("it does not tell %q, but:\n%s", told, stderr)
			}
			is.True(strings.Contains(stderr, "stand-in: "+fault)) // the agent's log is shown
		})
	}
}

func TestDemoStopped(t *testing.T) {
	is := is.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	stdout := &stopper{at: "2. The power fails", stop: cancel}
	stderr, code := playDemo(ctx, t, "nothing", stdout)
	is.Equal(code, 1)
	is.Equal(stderr, "fakeserver demo: stopped before the end\n")
	is.True(!strings.Contains(stdout.String(), "FAILED"))
}

// stopper calls stop once at was written.
type stopper struct {
	strings.Builder
	at   string
	stop func()
}

func (s *stopper) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.at) {
		s.stop()
	}
	return s.Builder.Write(p)
}

// playDemo runs the demo with a stand-in, and checks that it leaves nothing.
func playDemo(ctx context.Context, t *testing.T, fault string, stdout io.Writer) (stderr string, code int) {
	t.Helper()
	is := is.New(t)
	self, err := os.Executable()
	is.NoErr(err)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp) // the same on Windows
	t.Setenv(standInVariable, fault)
	t.Setenv("GORACE", "atexit_sleep_ms=0")          // else every stand-in takes a second to end under the race detector
	t.Setenv("MUSTER_SITE_CODE", "of another agent") // which is not for the demo's
	var complaints bytes.Buffer
	code = run(ctx, []string{"demo", "--muster", self}, stdout, &complaints)
	left, err := os.ReadDir(temp)
	is.NoErr(err)
	is.Equal(len(left), 0)
	return complaints.String(), code
}
