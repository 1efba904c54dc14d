//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// client is one connection to the server.
type client struct {
	server *url.URL
	roots  *x509.CertPool
	conn   *http.ClientConn
	key    string // what the enrollment gave
}

// connect makes the one TLS connection.
func connect(ctx context.Context) (*client, error) {
	server, err := url.Parse(os.Getenv("MUSTER_SERVER_URL"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(os.Getenv("MUSTER_TRUST_CA_FILE"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	conn, err := transport.NewClientConn(ctx, server.Scheme, server.Host)
	return &client{server: server, roots: roots, conn: conn}, err
}

// start is a first enrollment.
func start(ctx context.Context, parts *stopwatch) (*client, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if _, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "floor"}}, private); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	parts.lap("key and CSR")

	c, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	parts.lap("TLS connection")

	chain, err := c.enroll(ctx)
	if err != nil {
		return nil, err
	}
	parts.lap("POST")

	intermediates := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		intermediates.AddCert(certificate)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: intermediates}); err != nil {
		return nil, err
	}
	parts.lap("verify")

	dir := os.Getenv("MUSTER_STATE_DIR")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := replace(dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, err
	}
	if err := replace(dir, "key", []byte(c.key)); err != nil {
		return nil, err
	}
	parts.lap("two synced files")
	return c, nil
}

// enroll makes the one request and gives the certificates that the server
// presented.
func (c *client) enroll(ctx context.Context) ([]*x509.Certificate, error) {
	body, err := json.Marshal(map[string]any{
		"site_code":      os.Getenv("MUSTER_SITE_CODE"),
		"enrollment_key": os.Getenv("MUSTER_ENROLLMENT_KEY"),
		"machine_uid":    os.Getenv("MUSTER_MACHINE_UID"),
		"hostname":       hostname(),
		"labels":         map[string]any{"company": "", "site": "", "department": "", "device_type": "", "tags": []string{}},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server.JoinPath("/api/enroll").String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.conn.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var fields struct{ Key string }
	if err := json.Unmarshal(answer, &fields); err != nil || !strings.HasPrefix(fields.Key, "cak_") {
		return nil, fmt.Errorf("the server answered with status %d and no key", response.StatusCode)
	}
	c.key = fields.Key
	return response.TLS.PeerCertificates, nil
}

// replace writes a file in a way that a crash leaves the old or the new one.
func replace(dir, name string, content []byte) error {
	file, err := os.CreateTemp(dir, name)
	if err != nil {
		return err
	}
	defer file.Close() // a second time, after it went well
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close() // it was only read
	return folder.Sync()
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "floor"
	}
	return name
}

// stopwatch notes how long each part took.
type stopwatch struct {
	last time.Time
	text strings.Builder
}

func newStopwatch() *stopwatch { return &stopwatch{last: time.Now()} }

func (s *stopwatch) lap(part string) {
	now := time.Now()
	fmt.Fprintf(&s.text, "%s\t%d\n", part, now.Sub(s.last).Nanoseconds())
	s.last = now
}

// String is a line for each part: its name, a tab, nanoseconds.
func (s *stopwatch) String() string { return s.text.String() }
