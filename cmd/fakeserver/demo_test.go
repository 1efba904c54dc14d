package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
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
		os.Exit(standIn(ctx, fault))
	}
	os.Exit(m.Run())
}

func TestDemo(t *testing.T) {
	stdout, stderr, code := playDemo(t, "nothing")
	is := is.New(t)
	is.Equal(stderr, "")
	is.Equal(code, 0)
	for _, text := range []string{
		"1. A new machine", "v1 (", "did not enroll again", "operator confirms",
		"the stand-in is pending", "did not register again", "is answered:\n        {\"status\":\"serving\"", "none failed", "the stand-in is blocked", "serves again",
		"9. The machines", "Nothing is left behind",
	} {
		is.True(strings.Contains(stdout, text)) // it tells
	}
}

func TestDemoFailsWhenTheAgentDoes(t *testing.T) {
	for fault, told := range map[string]string{
		"forgets the key":      "step 1 did not go as told: the key is not stored",
		"enrolls again":        "step 2 did not go as told: it asked to enroll again",
		"gives up":             "step 3 did not go as told: waited in vain until it has asked twice: the agent of desk-2 ended by itself",
		"registers again":      "step 5 did not go as told: it registered 2 times",
		"serves anyone":        "step 6 did not go as told: it answered a client that has no certificate",
		"fails while renewing": "step 7 did not go as told: request 3 over a new connection: the answer was 503",
		"drops connections":    "step 7 did not go as told: the connection that was to stay open was lost",
		"crashes on damage":    "step 8 did not go as told: the agent of web-1 ended by itself",
		"does not connect":     "the agent of desk-1 ended by itself",
	} {
		t.Run(fault, func(t *testing.T) { fails(t, fault, told) })
	}
}

// fails plays the demo with a stand-in that has a fault, of which it is to
// tell.
func fails(t *testing.T, fault, told string) {
	t.Helper()
	is := is.New(t)
	stdout, stderr, code := playDemo(t, fault)
	is.Equal(code, 1)
	is.True(strings.Contains(stdout, "FAILED"))
	if !strings.Contains(stderr, told) {
		t.Errorf("it does not tell %q, but:\n%s", told, stderr)
	}
	is.True(strings.Contains(stderr, "stand-in: "+fault)) // the agent's log is shown
}

func TestDemoStopped(t *testing.T) {
	is := is.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	stdout := &stopper{at: "2. The power fails", stop: cancel}
	var stderr bytes.Buffer
	code := playDemoTo(ctx, t, "nothing", stdout, &stderr)
	is.Equal(code, 1)
	is.Equal(stderr.String(), "fakeserver demo: stopped before the end\n")
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
func playDemo(t *testing.T, fault string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = playDemoTo(t.Context(), t, fault, &out, &errs)
	return out.String(), errs.String(), code
}

func playDemoTo(ctx context.Context, t *testing.T, fault string, stdout, stderr io.Writer) (code int) {
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
	code = run(ctx, []string{"demo", "--muster", self}, stdout, stderr)
	left, err := os.ReadDir(temp)
	is.NoErr(err)
	is.Equal(len(left), 0)
	return code
}

// standIn enrolls, connects, and reconnects, as simply as can be.
func standIn(ctx context.Context, fault string) int {
	fmt.Fprintln(os.Stderr, "stand-in:", fault)
	if slices.Contains(os.Args, "status") {
		return standInStatus(os.Args)
	}
	managed := os.Getenv("MUSTER_MANAGER_URL") != ""
	if site := os.Getenv("MUSTER_SITE_CODE"); site != defaultSite && !managed || site != "" && managed {
		fmt.Fprintln(os.Stderr, "site code", site)
		return 1
	}
	pem, err := os.ReadFile(os.Getenv("MUSTER_TRUST_CA_FILE"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}

	if managed {
		host := &standInHost{fault: fault, client: client, dir: os.Getenv("MUSTER_STATE_DIR")}
		if err := host.run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}

	file := filepath.Join(os.Getenv("MUSTER_STATE_DIR"), "credentials", "agent.cak")
	key, err := os.ReadFile(file)
	for ; ctx.Err() == nil && (len(key) == 0 || fault == "enrolls again"); pause(ctx) {
		status, minted := standInEnroll(ctx, client)
		if minted != "" {
			key = []byte(minted)
			break
		}
		if status == http.StatusAccepted && fault == "gives up" {
			return 1
		}
	}
	if err != nil && fault != "forgets the key" {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if err := os.WriteFile(file, key, 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if fault == "does not connect" {
		return 1
	}
	for ; ctx.Err() == nil; pause(ctx) {
		standInConnect(ctx, client, string(key))
	}
	if fault == "ends with 3" {
		return 3
	}
	return 0
}

func standInEnroll(ctx context.Context, client *http.Client) (status int, key string) {
	body, _ := json.Marshal(map[string]any{
		"site_code": os.Getenv("MUSTER_SITE_CODE"), "enrollment_key": os.Getenv("MUSTER_ENROLLMENT_KEY"),
		"machine_uid": os.Getenv("MUSTER_MACHINE_UID"), "hostname": "stand-in",
		"labels": map[string]any{"company": "", "site": "", "department": "", "device_type": "", "tags": []string{}},
	})
	r, _ := http.NewRequestWithContext(ctx, "POST", os.Getenv("MUSTER_SERVER_URL")+"/api/enroll", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	var got struct {
		Key string `json:"key"`
	}
	_ = json.NewDecoder(answer.Body).Decode(&got)
	return answer.StatusCode, got.Key
}

func standInConnect(ctx context.Context, client *http.Client, key string) {
	query := url.Values{"agent_id": {"0b7e8a52-6a4f-4f0e-9b0c-0d8f3c1b2a34"}, "machine_uid": {os.Getenv("MUSTER_MACHINE_UID")}, "hostname": {"stand-in"}, "api_key": {key}}
	conn, _, err := websocket.Dial(ctx, os.Getenv("MUSTER_SERVER_URL")+"/ws/agent?"+query.Encode(), &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	status, _ := json.Marshal(map[string]any{
		"type": "agent_status", "machine_uid": os.Getenv("MUSTER_MACHINE_UID"), "hostname": "stand-in", "version": "0", "uptime_seconds": 0,
		"certificate": map[string]any{"status": "not_configured", "not_after": nil},
	})
	if conn.Write(ctx, websocket.MessageText, status) == nil {
		_, _, _ = conn.Read(ctx) // until it ends
	}
}

// pause is the stand-in's delay between attempts.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}
