package mtls

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// patience bounds every wait for something that should happen soon: generous,
// because test machines are slow and busy.
const patience = time.Minute

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.Listener(t, func(*testing.T) contracttest.ListenerUnderTest {
		holder := new(Holder)
		return contracttest.ListenerUnderTest{
			Listener: NewListener(Options{Holder: holder}), Holder: holder,
			FreeAddress: "127.0.0.1:0",
			Connect: func(addr string, client tls.Certificate, roots *x509.CertPool) (contracttest.ListenerConn, error) {
				return connect(addr, client, roots)
			},
		}
	})
}

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
