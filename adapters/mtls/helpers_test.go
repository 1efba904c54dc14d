package mtls

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// patience bounds every wait for something that should happen soon: generous,
// because test machines are slow and busy.
const patience = time.Minute

// running is a listener that serves, and who may connect to it.
type running struct {
	addr        string
	holder      *Holder
	certificate tls.Certificate
	roots       *x509.CertPool
	cancel      context.CancelFunc
	ended       chan error
}

// selfSigned is a certificate that is its own CA, for both ends.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	is := is.New(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	is.NoErr(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	is.NoErr(err)
	leaf, err := x509.ParseCertificate(der)
	is.NoErr(err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func run(t *testing.T, addr string, o Options, health func() ports.Health) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := running{holder: new(Holder), cancel: cancel, ended: make(chan error, 1)}
	r.certificate, r.roots = selfSigned(t)
	r.holder.Use(&ports.CertificateInUse{Certificate: r.certificate, Roots: r.roots})
	o.Holder = r.holder
	opened := make(chan string, 1)
	go func() { r.ended <- NewListener(o).Serve(ctx, addr, health, func(addr string) { opened <- addr }) }()
	select {
	case r.addr = <-opened:
	case err := <-r.ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-r.ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("Serve does not end")
		}
	})
	return r
}

func noHealth() ports.Health { return ports.Health{} }

// tlsConn is a client's connection on which requests follow each other.
type tlsConn struct {
	*tls.Conn
	reader *bufio.Reader
}

func connect(addr string, client tls.Certificate, roots *x509.CertPool) (*tlsConn, error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{
		RootCAs: roots,
		// Whatever the listener says that it accepts.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &client, nil },
	}}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &tlsConn{conn.(*tls.Conn), bufio.NewReader(conn)}, nil
}

// ask sends a request and reads its answer.
func (c *tlsConn) ask(method, path string) (*http.Response, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, path); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.reader, &http.Request{Method: method})
}

func (c *tlsConn) Health() (h ports.Health, err error) {
	resp, err := c.ask("GET", "/health")
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" {
		return h, fmt.Errorf("status %d, header %v", resp.StatusCode, resp.Header)
	}
	var body struct {
		Status        string
		Version       string
		UptimeSeconds int `json:"uptime_seconds"`
		Certificate   struct {
			Status    string
			NotBefore time.Time `json:"not_before"`
			NotAfter  time.Time `json:"not_after"`
			RenewAt   time.Time `json:"renew_at"`
			Subject   string
		}
	}
	err = json.NewDecoder(resp.Body).Decode(&body)
	return ports.Health{
		Status: ports.OverallState(body.Status), Version: body.Version, Uptime: time.Duration(body.UptimeSeconds) * time.Second,
		Certificate: ports.CertificateReport{
			Status:    ports.CertificateStatus(body.Certificate.Status),
			NotBefore: body.Certificate.NotBefore, NotAfter: body.Certificate.NotAfter,
			RenewAt: body.Certificate.RenewAt, Subject: body.Certificate.Subject,
		},
	}, err
}

func (c *tlsConn) Served() *x509.Certificate { return c.ConnectionState().PeerCertificates[0] }
func (c *tlsConn) Close()                    { _ = c.Conn.Close() } // the test is over
