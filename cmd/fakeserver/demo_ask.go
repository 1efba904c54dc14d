package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// lookEvery is how often something is looked at that does not tell when it
// changes.
const lookEvery = 50 * time.Millisecond

// agentStatus is what the demo reads of `muster status --json`.
type agentStatus struct {
	State       string
	Certificate struct{ Status string }
	Listener    struct{ Addr *string }
}

// addr is where the machine serves; empty if it does not.
func (st agentStatus) addr() string {
	if st.Listener.Addr == nil {
		return ""
	}
	return *st.Listener.Addr
}

// status runs `muster status` on the machine. An exit code is no error. An agent
// that is too busy to answer it is asked again.
func (m *machine) status(ctx context.Context, args ...string) (output []byte, code int, err error) {
	for {
		output, code, err = m.askStatus(ctx, args...)
		if err == nil || !strings.Contains(err.Error(), "not answering") {
			return output, code, err
		}
		select {
		case <-m.process.ended:
			return output, code, err
		case <-ctx.Done():
			return output, code, err
		case <-time.After(lookEvery):
		}
	}
}

func (m *machine) askStatus(ctx context.Context, args ...string) (output []byte, code int, err error) {
	cmd := exec.CommandContext(ctx, m.story.muster, append([]string{"status", "--config", m.story.configFile()}, args...)...)
	cmd.Dir = m.story.dir
	cmd.Env = m.environ()
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	output, err = cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || len(output) == 0) {
		return nil, 0, fmt.Errorf("muster status on %s: %w\n%s", m.name, err, &complaint)
	}
	return output, cmd.ProcessState.ExitCode(), nil
}

func (m *machine) parsedStatus(ctx context.Context) (st agentStatus, err error) {
	output, _, err := m.status(ctx, "--json")
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(output, &st); err != nil {
		return st, fmt.Errorf("muster status --json on %s: %w", m.name, err)
	}
	return st, nil
}

// awaitState waits until `muster status` says state and, if that is serving,
// where.
func (m *machine) awaitState(ctx context.Context, state string) (agentStatus, error) {
	for {
		st, err := m.parsedStatus(ctx)
		if err == nil && st.State == state && (state != "serving" || st.addr() != "") {
			return st, nil
		}
		select {
		case <-m.process.ended:
			return st, fmt.Errorf("the agent of %s ended by itself: %w", m.name, m.process.err())
		case <-ctx.Done():
			return st, fmt.Errorf("waited in vain until %s is %s, it is %q: %w", m.name, state, st.State, errors.Join(context.Cause(ctx), err))
		case <-time.After(lookEvery):
		}
	}
}

// sentence waits for state and gives the first line of what `muster status`
// then says, whose exit code must be code.
func (m *machine) sentence(ctx context.Context, state string, code int) (string, error) {
	if _, err := m.awaitState(ctx, state); err != nil {
		return "", err
	}
	output, got, err := m.status(ctx)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(output), "\n")
	if got != code {
		return "", fmt.Errorf("muster status said %q and ended with %d instead of %d", line, got, code)
	}
	return line, nil
}

// identity is the machine's certificate as a client shows it, and the CA by
// which the client trusts the machine.
func (m *machine) identity(ctx context.Context) (*tls.Config, error) {
	certs := filepath.Join(m.stateDir(), "certs")
	for {
		pair, err := tls.LoadX509KeyPair(filepath.Join(certs, "server.pem"), filepath.Join(certs, "server.key.pem"))
		if err == nil {
			ca, err := os.ReadFile(filepath.Join(certs, "ca.pem"))
			if err != nil {
				return nil, err
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(ca)
			return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}, nil
		}
		select {
		case <-time.After(lookEvery): // the agent may be replacing one file after the other
		case <-ctx.Done():
			return nil, fmt.Errorf("the certificate of %s cannot be used: %w", m.name, err)
		}
	}
}

// asker is a client that asks for /health.
type asker struct {
	addr   string
	client *http.Client
	asked  int
}

// newAsker makes a client that asks over connections of a kind.
func newAsker(addr string, over http.RoundTripper) *asker {
	return &asker{addr: addr, client: &http.Client{Transport: over}}
}

// fresh opens a connection for each question.
func fresh(config *tls.Config) http.RoundTripper {
	return &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
}

// kept keeps one connection open for as long as the other end does. (An
// http.Transport also gives one up where its own goroutines get no processor
// for 50 ms.) One goroutine at a time uses it.
type kept struct {
	config  *tls.Config
	conn    *tls.Conn // nil if none is open
	answers *bufio.Reader
	opened  int
}

func (k *kept) close() {
	if k.conn != nil {
		_ = k.conn.Close() // nothing more is read or written
		k.conn = nil
	}
}

// RoundTrip implements http.RoundTripper.
func (k *kept) RoundTrip(request *http.Request) (answer *http.Response, err error) {
	if k.conn == nil {
		conn, err := (&tls.Dialer{Config: k.config}).DialContext(request.Context(), "tcp", request.URL.Host)
		if err != nil {
			return nil, err
		}
		k.conn, k.answers = conn.(*tls.Conn), bufio.NewReader(conn)
		k.opened++
	}
	conn := k.conn
	stop := context.AfterFunc(request.Context(), func() { _ = conn.SetDeadline(time.Now()) }) // ends the exchange
	defer stop()
	var body []byte
	if err = request.Write(conn); err == nil {
		answer, err = http.ReadResponse(k.answers, request)
	}
	if err == nil {
		body, err = io.ReadAll(answer.Body)
	}
	if err != nil {
		k.close()
		return nil, err
	}
	state := conn.ConnectionState()
	answer.TLS, answer.Body = &state, io.NopCloser(bytes.NewReader(body))
	if answer.Close {
		k.close()
	}
	return answer, nil
}

// health is an answer to GET /health.
type health struct {
	addr   string
	serial string // of the certificate that it was given with, in hex
	body   string
}

// ask asks once. Anything but 200 is an error.
func (a *asker) ask(ctx context.Context) (health, error) {
	a.asked++
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.addr+"/health", nil)
	if err != nil {
		return health{}, err
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return health{}, err
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return health{}, err
	}
	if answer.StatusCode != http.StatusOK {
		return health{}, fmt.Errorf("the answer was %s", answer.Status)
	}
	return health{a.addr, answer.TLS.PeerCertificates[0].SerialNumber.Text(16), string(body)}, nil
}

// serves waits until the machine serves, asks it for /health, and checks that
// it does so with the certificate that the manager issued last.
func (m *machine) serves(ctx context.Context) (health, error) {
	st, err := m.awaitState(ctx, "serving")
	if err != nil {
		return health{}, err
	}
	identity, err := m.identity(ctx)
	if err != nil {
		return health{}, err
	}
	answer, err := newAsker(st.addr(), fresh(identity)).ask(ctx)
	if err != nil {
		return health{}, err
	}
	var said struct {
		Status      string
		Certificate struct{ Status string }
	}
	if err := json.Unmarshal([]byte(answer.body), &said); err != nil {
		return health{}, fmt.Errorf("the answer to /health: %w", err)
	}
	if said.Status != "serving" || said.Certificate.Status != "valid" {
		return health{}, fmt.Errorf("/health says that it is %q with a certificate that is %q", said.Status, said.Certificate.Status)
	}
	known, err := m.story.atManager()
	if err != nil {
		return health{}, err
	}
	issued, err := newest(known)
	if err != nil {
		return health{}, err
	}
	if answer.serial != issued.Serial {
		return health{}, fmt.Errorf("it serves with certificate %s and not with the newest, %s", answer.serial, issued.Serial)
	}
	return answer, nil
}

// refusesStrangers checks that a client without a certificate gets nothing
// from the machine, which must be serving.
func (m *machine) refusesStrangers(ctx context.Context) error {
	st, err := m.awaitState(ctx, "serving")
	if err != nil {
		return err
	}
	identity, err := m.identity(ctx)
	if err != nil {
		return err
	}
	identity.Certificates = nil
	if _, err := newAsker(st.addr(), fresh(identity)).ask(ctx); err == nil {
		return errors.New("it answered a client that has no certificate")
	}
	return ctx.Err() // a question that was cut short shows nothing
}

// indent is JSON with its longest member on a line of its own, to fit a
// terminal.
func indent(body string) string {
	return "  " + strings.Replace(strings.TrimSpace(body), `"certificate":`, "\n   \"certificate\":", 1)
}
