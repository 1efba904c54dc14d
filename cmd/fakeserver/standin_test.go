package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// renewAfter is how many questions a stand-in answers with its first
// certificate. The step that looks for the renewal asks all but the first.
const renewAfter = 6

// standIn is an agent that does what the demo asks for, as simply as can be,
// but for one fault.
type standIn struct {
	fault    string
	client   *http.Client // proves by pair who asks
	addr     string       // where it serves; empty if it does not
	pair     atomic.Pointer[tls.Certificate]
	answered atomic.Int32
	renewing sync.Once
}

// standInMain is the program.
func standInMain(ctx context.Context, fault string) (code int) {
	fmt.Fprintln(os.Stderr, "stand-in:", fault)
	a := &standIn{fault: fault}
	do := a.beMachine
	switch {
	case slices.Contains(os.Args, "status"):
		do = a.status
	case os.Getenv("MUSTER_MANAGER_URL") != "":
		do = a.beHost
	}
	code, err := do(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// status is `muster status`, which has what tell has left.
func (a *standIn) status(context.Context) (code int, err error) {
	var text []byte
	err = shared(func() (err error) {
		text, err = os.ReadFile(file("status.json"))
		return err
	})
	var st agentStatus
	if err == nil {
		err = json.Unmarshal(text, &st)
	}
	if err != nil {
		return 1, err
	}
	if slices.Contains(os.Args, "--json") {
		fmt.Println(string(text))
	} else {
		fmt.Println("the stand-in is", st.State)
	}
	return map[string]int{"serving": 0, "pending": 2, "blocked": 1}[st.State], nil
}

// tell leaves what status says.
func (a *standIn) tell(state, certificate string) {
	text, _ := json.Marshal(map[string]any{ // nothing in it cannot be
		"state": state, "certificate": map[string]any{"status": certificate}, "listener": map[string]any{"addr": a.addr},
	})
	if err := write("status.json", text); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// setUp makes the client. The site code must be the demo's own, not one of the
// environment in which that runs.
func (a *standIn) setUp(siteCode string) error {
	if site := os.Getenv("MUSTER_SITE_CODE"); site != siteCode {
		return fmt.Errorf("site code %q", site)
	}
	roots, err := pool(os.Getenv("MUSTER_TRUST_CA_FILE"))
	a.pair.Store(new(tls.Certificate)) // none
	a.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs:              roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return a.pair.Load(), nil },
	}}}
	return err
}

// ask gives an answer's status and members; neither if there was no answer.
func (a *standIn) ask(ctx context.Context, method, to string, body map[string]any) (status int, members map[string]any) {
	r, _ := http.NewRequestWithContext(ctx, method, to, http.NoBody)
	if body != nil {
		text, _ := json.Marshal(body) // nothing in it cannot be
		r, _ = http.NewRequestWithContext(ctx, method, to, bytes.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	_ = json.NewDecoder(answer.Body).Decode(&members)
	return answer.StatusCode, members
}

// beMachine enrolls at the site, connects, and reconnects until ctx is done.
func (a *standIn) beMachine(ctx context.Context) (code int, err error) {
	if err := a.setUp(defaultSite); err != nil {
		return 1, err
	}
	const name = "credentials/agent.cak"
	key, err := os.ReadFile(file(name))
	for enrolled := err == nil && a.fault != "enrolls again"; ctx.Err() == nil && !enrolled; pause(ctx) {
		status, answer := a.ask(ctx, http.MethodPost, os.Getenv("MUSTER_SERVER_URL")+"/api/enroll", map[string]any{
			"site_code": os.Getenv("MUSTER_SITE_CODE"), "enrollment_key": os.Getenv("MUSTER_ENROLLMENT_KEY"),
			"machine_uid": os.Getenv("MUSTER_MACHINE_UID"), "hostname": "stand-in",
			"labels": map[string]any{"company": "", "site": "", "department": "", "device_type": "", "tags": []string{}},
		})
		if status == http.StatusAccepted && a.fault == "gives up" {
			return 1, nil
		}
		if minted, ok := answer["key"].(string); ok {
			key, enrolled = []byte(minted), true
		}
	}
	if a.fault != "forgets the key" {
		if err := write(name, key); err != nil {
			return 1, err
		}
	}
	if a.fault == "does not connect" {
		return 1, nil
	}
	for ; ctx.Err() == nil; pause(ctx) {
		a.connect(ctx, string(key))
	}
	if a.fault == "ends with 3" {
		return 3, nil
	}
	return 0, nil
}

// connect keeps one connection to the relay until it ends.
func (a *standIn) connect(ctx context.Context, key string) {
	uid := os.Getenv("MUSTER_MACHINE_UID")
	query := url.Values{"agent_id": {"0b7e8a52-6a4f-4f0e-9b0c-0d8f3c1b2a34"}, "machine_uid": {uid}, "hostname": {"stand-in"}, "api_key": {key}}
	conn, _, err := websocket.Dial(ctx, os.Getenv("MUSTER_SERVER_URL")+"/ws/agent?"+query.Encode(), &websocket.DialOptions{HTTPClient: a.client})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	status, _ := json.Marshal(map[string]any{ // nothing in it cannot be
		"type": "agent_status", "machine_uid": uid, "hostname": "stand-in", "version": "0", "uptime_seconds": 0,
		"certificate": map[string]any{"status": "not_configured", "not_after": nil},
	})
	if conn.Write(ctx, websocket.MessageText, status) == nil {
		_, _, _ = conn.Read(ctx) // until it ends
	}
}

// The files of a host's certificate, and the token by which it asks for it.
const (
	caFile, certFile, keyFile = "certs/ca.pem", "certs/server.pem", "certs/server.key.pem"
	tokenFile                 = "token"
)

// beHost registers at the manager, polls, and serves until ctx is done.
func (a *standIn) beHost(ctx context.Context) (code int, err error) {
	if err := a.setUp(""); err != nil {
		return 1, err
	}
	err = a.load()
	if damaged := err != nil && !os.IsNotExist(err); err != nil && !(damaged && a.fault == "crashes on damage") {
		err = a.register(ctx, damaged)
	}
	if err != nil {
		return 1, err
	}
	clients, err := pool(file(caFile))
	if err != nil {
		return 1, err
	}
	config := &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.pair.Load(), nil },
	}
	if a.fault == "serves anyone" {
		config.ClientAuth = tls.NoClientCert
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return 1, err
	}
	server := &http.Server{Handler: http.HandlerFunc(a.health)}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // this process ends
	a.addr = listener.Addr().String()
	a.tell("serving", "valid")
	_ = server.Serve(listener) // until it is closed
	return 0, nil
}

// register takes as long as the operator does.
func (a *standIn) register(ctx context.Context, damaged bool) error {
	certificate := "missing"
	token, err := os.ReadFile(file(tokenFile))
	if damaged {
		certificate, err = "corrupt", fs.ErrNotExist // the token was used up
	}
	manager := os.Getenv("MUSTER_MANAGER_URL") + "/api/v1/enroll"
	registered := err == nil
	for again := a.fault == "registers again"; ctx.Err() == nil && (!registered || again); again = false {
		csr, key := newCSR()
		_, answer := a.ask(ctx, http.MethodPost, manager, map[string]any{
			"machine_id": "0123456789abcdef0123456789abcdef", "fqdn": "stand-in.example.org", "hostname": "stand-in", "ip_address": "127.0.0.1",
			"os_details": map[string]any{"distro": "", "name": "", "version": "", "codename": "", "id_like": "", "kernel": ""},
			"csr_pem":    csr,
		})
		if minted, ok := answer["polling_token"].(string); ok {
			token, registered = []byte(minted), true
			if err := errors.Join(write(keyFile, key), write(tokenFile, token)); err != nil {
				return err
			}
		} else if !registered {
			a.tell("blocked", certificate)
			pause(ctx)
		}
	}
	for ; ctx.Err() == nil; pause(ctx) {
		a.tell("pending", certificate)
		if _, answer := a.ask(ctx, http.MethodGet, manager+"/status/"+string(token), nil); answer["status"] == "approved" {
			return a.install(answer)
		}
	}
	return ctx.Err()
}

// install puts a bundle beside its key.
func (a *standIn) install(bundle map[string]any) error {
	return errors.Join(
		write(certFile, []byte(bundle["server_crt"].(string)+bundle["ca_chain"].(string))),
		write(caFile, []byte(bundle["ca_crt"].(string))),
		a.load())
}

func (a *standIn) load() error {
	pair, err := tls.LoadX509KeyPair(file(certFile), file(keyFile))
	if err == nil {
		a.pair.Store(&pair)
	}
	return err
}

func (a *standIn) health(w http.ResponseWriter, r *http.Request) {
	if a.answered.Add(1) > renewAfter {
		a.renewing.Do(func() { a.renew(r.Context()) })
		switch a.fault {
		case "fails while renewing":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "drops connections":
			w.Header().Set("Connection", "close")
		}
	}
	fmt.Fprint(w, `{"status":"serving","certificate":{"status":"valid"}}`)
}

func (a *standIn) renew(ctx context.Context) {
	csr, key := newCSR()
	_, bundle := a.ask(ctx, http.MethodPost, os.Getenv("MUSTER_MANAGER_URL")+"/api/v1/enroll/renew", map[string]any{"csr_pem": csr})
	if err := errors.Join(write(keyFile, key), a.install(bundle)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// pause is the stand-in's delay between attempts.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}

// file is the path of a file of the state directory.
func file(name string) string {
	return filepath.Join(os.Getenv("MUSTER_STATE_DIR"), filepath.FromSlash(name))
}

// write replaces a file of the state directory in one step.
func write(name string, content []byte) error {
	name = file(name)
	err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name+".new", content, 0o600))
	if err != nil {
		return err
	}
	return shared(func() error { return os.Rename(name+".new", name) })
}

// shared does something with a file that another process may be reading or
// replacing just then: Windows lets only one of the two.
func shared(do func() error) error {
	err := do()
	for deadline := time.Now().Add(30 * time.Second); err != nil && !errors.Is(err, fs.ErrNotExist) && time.Now().Before(deadline); err = do() {
		time.Sleep(time.Millisecond)
	}
	return err
}

func pool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(text)
	return p, err
}

func newCSR() (csr string, key []byte) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(private)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
