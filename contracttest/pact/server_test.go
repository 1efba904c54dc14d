//go:build pact

package pact_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestServerByURL is what the job of a server's team does, with the program
// fakeserver as the server: another process, verified over HTTP, by the
// environment alone.
func TestServerByURL(t *testing.T) {
	program := filepath.Join(t.TempDir(), "fakeserver")
	build := exec.Command("go", "build", "-o", program, "./cmd/fakeserver")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build fakeserver: %v\n%s", err, out)
	}

	t.Run("the fixed part, states by URL", func(t *testing.T) {
		ready := start(t, program, "--tls", "off")
		states := httptest.NewServer(statesHandler(t, fakeStates{ready.URL, http.DefaultClient}))
		defer states.Close()
		setenv(t, map[string]string{"URL": ready.URL, "STATES_URL": states.URL})
		verifyEnvironment(t)
	})
	t.Run("all, over TLS, states by command", func(t *testing.T) {
		ready := start(t, program)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(statesCommandFor, ready.URL)
		t.Setenv(statesCommandCA, ready.CAFile)
		setenv(t, map[string]string{
			"URL": ready.URL, "CA_FILE": ready.CAFile, "STATES_COMMAND": "'" + self + "'",
			"PACTS": "muster-site muster-manager muster-optional-manager",
		})
		verifyEnvironment(t)
	})
	t.Run("a server that has never heard of CRLs", func(t *testing.T) {
		ready := start(t, program, "--tls", "off")
		fake := fakeStates{ready.URL, http.DefaultClient}
		states := httptest.NewServer(statesHandler(t, fake))
		defer states.Close()
		setenv(t, map[string]string{"URL": ready.URL, "STATES_URL": states.URL, "PACTS": "muster-manager", "SKIP": "^crl: "})
		verifyEnvironment(t)
	})
}

func verifyEnvironment(t *testing.T) {
	t.Helper()
	named, err := serverFromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	named.verify(t)
}

// setenv sets the MUSTER_CONTRACT_ variables and no others.
func setenv(t *testing.T, values map[string]string) {
	t.Helper()
	for _, name := range []string{"URL", "CA_FILE", "STATES_URL", "STATES_COMMAND", "PACTS", "SKIP"} {
		t.Setenv("MUSTER_CONTRACT_"+name, values[name])
	}
}

type readyLine struct {
	Event, URL string
	CAFile     string `json:"ca_file"`
}

// start runs the program until the test ends.
func start(t *testing.T, program string, args ...string) (ready readyLine) {
	t.Helper()
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--approve", "manual", "--site", siteCode, "--site", otherSiteCode}, args...)
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start fakeserver: %v", err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("stop fakeserver: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("fakeserver ended with %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil || ready.Event != "ready" {
		t.Fatalf("fakeserver does not say that it is ready: %q (error %v)", line, err)
	}
	return ready
}

// statesHandler makes the states of a fake server for whoever posts them.
func statesHandler(t *testing.T, fake fakeStates) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values, err := answerChange(fake, r.Body)
		if err != nil {
			t.Log(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(values) // a verifier that has gone will say so
	}
}

// answerChange reads a state change and makes the state.
func answerChange(fake fakeStates, from io.Reader) (values []byte, err error) {
	var c stateChange
	if err := json.NewDecoder(from).Decode(&c); err != nil {
		return nil, fmt.Errorf("read a state change: %w", err)
	}
	if c.Action != "setup" {
		return nil, fmt.Errorf("the action %q is not setup", c.Action)
	}
	made, err := fake.set(c.State, c.Params)
	if err != nil {
		return nil, err
	}
	return json.Marshal(made)
}

// Set, this program is a states command, for the fake server at the URL that
// the first holds and whose CA is in the file that the second names.
const (
	statesCommandFor = "MUSTER_TEST_STATES_COMMAND_FOR"
	statesCommandCA  = "MUSTER_TEST_STATES_COMMAND_CA"
)

func statesCommand(url string, stdin io.Reader, stdout, stderr io.Writer) (exitCode int) {
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(os.Getenv(statesCommandCA))
	roots.AppendCertsFromPEM(ca)
	if err == nil {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		var values []byte
		if values, err = answerChange(fakeStates{url, client}, stdin); err == nil {
			_, err = stdout.Write(values)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "states:", err)
		return 1
	}
	return 0
}
