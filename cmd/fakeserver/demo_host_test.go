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
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// renewAfter is how many questions a stand-in answers with its first
// certificate. The step that
// looks for the renewal asks all but the first.
const renewAfter = 6

// standInHost is a stand-in that is configured for a manager.
type standInHost struct {
	fault    string
	client   *http.Client
	dir      string
	listener net.Listener
	current  atomic.Pointer[tls.Certificate]
	answered atomic.Int32
	renewing sync.Once
}

// run registers, polls, and serves until ctx is done.
func (h *standInHost) run(ctx context.Context) error {
	if err := os.MkdirAll(h.file("certs"), 0o700); err != nil {
		return err
	}
	pair, err := h.load()
	if err != nil {
		damaged := !os.IsNotExist(err)
		if damaged && h.fault == "crashes on damage" {
			return err
		}
		if pair, err = h.enroll(ctx, damaged); err != nil {
			return err
		}
	}
	h.current.Store(&pair)
	return h.serve(ctx)
}

func (h *standInHost) file(name string) string { return filepath.Join(h.dir, filepath.FromSlash(name)) }

func (h *standInHost) load() (tls.Certificate, error) {
	return tls.LoadX509KeyPair(h.file("certs/server.pem"), h.file("certs/server.key.pem"))
}

// enroll takes as long as the operator does.
func (h *standInHost) enroll(ctx context.Context, damaged bool) (tls.Certificate, error) {
	csr, keyPEM := newCSR()
	certificate := "missing"
	token, err := os.ReadFile(h.file("token"))
	if damaged {
		certificate, err = "corrupt", os.ErrNotExist // the token was used up
	} else if err == nil {
		keyPEM, err = os.ReadFile(h.file("key"))
	}
	for again := h.fault == "registers again"; err != nil || again; again = false {
		answer := h.post(ctx, h.client, "/api/v1/enroll", map[string]any{
			"machine_id": "0123456789abcdef0123456789abcdef", "fqdn": "stand-in.example.org", "hostname": "stand-in", "ip_address": "127.0.0.1",
			"os_details": map[string]any{"distro": "", "name": "", "version": "", "codename": "", "id_like": "", "kernel": ""},
			"csr_pem":    string(csr),
		})
		if minted := answer["polling_token"]; minted != nil {
			token, err = []byte(minted.(string)), nil
			break
		}
		if err == nil {
			break // it is known: the token that it has is good
		}
		h.tell("blocked", certificate)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return tls.Certificate{}, nil
		}
	}
	if err := errors.Join(write(h.file("key"), keyPEM), write(h.file("token"), token)); err != nil {
		return tls.Certificate{}, err
	}
	for ; ctx.Err() == nil; pause(ctx) {
		h.tell("pending", certificate)
		answer := h.send(h.client, h.request(ctx, http.MethodGet, "/api/v1/enroll/status/"+string(token), nil))
		if answer["status"] == "approved" {
			return h.install(answer, keyPEM)
		}
	}
	return tls.Certificate{}, nil
}

func (h *standInHost) install(bundle map[string]any, keyPEM []byte) (tls.Certificate, error) {
	for name, content := range map[string][]byte{
		"certs/server.pem":     []byte(bundle["server_crt"].(string) + bundle["ca_chain"].(string)),
		"certs/server.key.pem": keyPEM,
		"certs/ca.pem":         []byte(bundle["ca_crt"].(string)),
	} {
		if err := write(h.file(name), content); err != nil {
			return tls.Certificate{}, err
		}
	}
	return h.load()
}

func (h *standInHost) serve(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	ca, err := os.ReadFile(h.file("certs/ca.pem"))
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	config := &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return h.current.Load(), nil },
	}
	if h.fault == "serves anyone" {
		config.ClientAuth = tls.NoClientCert
	}
	if h.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(h.health)}
	defer server.Close()
	go func() { _ = server.Serve(tls.NewListener(h.listener, config)) }() // until it is closed
	h.tell("serving", "valid")
	<-ctx.Done()
	return nil
}

func (h *standInHost) health(w http.ResponseWriter, r *http.Request) {
	if h.answered.Add(1) > renewAfter {
		h.renewing.Do(func() { h.renew(r.Context()) })
		switch h.fault {
		case "fails while renewing":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "drops connections":
			w.Header().Set("Connection", "close")
		}
	}
	fmt.Fprint(w, `{"status":"serving","certificate":{"status":"valid"}}`)
}

func (h *standInHost) renew(ctx context.Context) {
	csr, keyPEM := newCSR()
	transport := h.client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{*h.current.Load()}
	bundle := h.post(ctx, &http.Client{Transport: transport}, "/api/v1/enroll/renew", map[string]any{"csr_pem": string(csr)})
	pair, err := h.install(bundle, keyPEM)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	h.current.Store(&pair)
}

func (h *standInHost) post(ctx context.Context, client *http.Client, path string, body map[string]any) map[string]any {
	text, _ := json.Marshal(body) // nothing in it cannot be
	return h.send(client, h.request(ctx, http.MethodPost, path, text))
}

func (h *standInHost) request(ctx context.Context, method, path string, body []byte) *http.Request {
	r, _ := http.NewRequestWithContext(ctx, method, os.Getenv("MUSTER_MANAGER_URL")+path, bytes.NewReader(body))
	if body == nil {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send gives the answer's members; none if there was no answer.
func (h *standInHost) send(client *http.Client, r *http.Request) (members map[string]any) {
	answer, err := client.Do(r)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	_ = json.NewDecoder(answer.Body).Decode(&members)
	return members
}

// tell leaves what standInStatus says.
func (h *standInHost) tell(state, certificate string) {
	listener := map[string]any{"addr": nil}
	if h.listener != nil {
		listener["addr"] = h.listener.Addr().String()
	}
	text, _ := json.Marshal(map[string]any{"state": state, "certificate": map[string]any{"status": certificate}, "listener": listener})
	if err := write(h.file("status.json"), text); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// standInStatus is `muster status` of a stand-in.
func standInStatus(args []string) int {
	var text []byte
	err := shared(func() (err error) {
		text, err = os.ReadFile(filepath.Join(os.Getenv("MUSTER_STATE_DIR"), "status.json"))
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var st standing
	if err := json.Unmarshal(text, &st); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if slices.Contains(args, "--json") {
		fmt.Println(string(text))
	} else {
		fmt.Println("the stand-in is", st.State)
	}
	return map[string]int{"serving": 0, "pending": 2, "blocked": 1}[st.State]
}

// write replaces a file in one step.
func write(file string, content []byte) error {
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		return err
	}
	return shared(func() error { return os.Rename(file+".new", file) })
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

func newCSR() (csr, key []byte) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
