package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
)

// identity is a certificate and its key.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (id identity) pin() [32]byte { return sha256.Sum256(id.cert.RawSubjectPublicKeyInfo) }

// issue makes a certificate by template, signed by parent; by itself if parent
// is the zero identity.
func issue(t *testing.T, name string, parent identity, change func(*x509.Certificate)) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	is.New(t).NoErr(err)
	return certify(t, name, key, parent, change)
}

func certify(t *testing.T, name string, key *ecdsa.PrivateKey, parent identity, change func(*x509.Certificate)) identity {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	if parent.cert == nil {
		parent = identity{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, &key.PublicKey, parent.key)
	is.New(t).NoErr(err)
	cert, err := x509.ParseCertificate(der)
	is.New(t).NoErr(err)
	return identity{cert, key}
}

func authority(c *x509.Certificate) {
	c.IsCA = true
	c.KeyUsage = x509.KeyUsageCertSign
}

func forLoopback(c *x509.Certificate) {
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	c.DNSNames = []string{"localhost"}
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

func both(a, b func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) { a(c); b(c) }
}

// forge spoils the signature.
func forge(t *testing.T, id identity) identity {
	t.Helper()
	der := bytes.Clone(id.cert.Raw)
	for i := len(der) - 1; ; i-- { // until the signature's encoding still parses
		der[i] ^= 1
		cert, err := x509.ParseCertificate(der)
		if err == nil && cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil {
			return identity{cert, id.key}
		}
		der[i] ^= 1
	}
}

// presenting is the chain that a server shows, its own certificate first.
func presenting(chain ...identity) tls.Certificate {
	out := tls.Certificate{PrivateKey: chain[0].key}
	for _, id := range chain {
		out.Certificate = append(out.Certificate, id.cert.Raw)
	}
	return out
}

func caFile(t *testing.T, roots ...identity) string {
	t.Helper()
	var out []byte
	for _, id := range roots {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.cert.Raw})...)
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	is.New(t).NoErr(os.WriteFile(name, out, 0o600))
	return name
}

// serve answers 200 over TLS with that chain.
func serve(t *testing.T, chain tls.Certificate) *httptest.Server {
	t.Helper()
	return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain}}, func(http.ResponseWriter, *http.Request) {})
}

func serveTLS(t *testing.T, config *tls.Config, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = discard()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, o Options, url string) error {
	t.Helper()
	return getBy(t, newTransport(t, o), url)
}

func getBy(t *testing.T, transport http.RoundTripper, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	is.New(t).NoErr(err)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// counting counts a server's connections.
func counting(server *httptest.Server) *atomic.Int32 {
	var n atomic.Int32
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
	return &n
}

func newTransport(t *testing.T, o Options) *Transport {
	t.Helper()
	transport, err := New(o)
	is.New(t).NoErr(err)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func send(t *testing.T, transport http.RoundTripper, method, url, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	is.New(t).NoErr(err)
	if body == "" {
		req.Body, req.GetBody = nil, nil
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), errors.Join(err, resp.Body.Close())
}
