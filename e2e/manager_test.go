package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The paths of the manager, as the server's history shows them.
const (
	registerPath = "/api/v1/enroll"
	pollPath     = "/api/v1/enroll/status/{token}"
	anyPollPath  = "/api/v1/enroll/status/" // for faults: every token
	renewPath    = "/api/v1/enroll/renew"
	crlPath      = "/api/v1/pki/crl.pem"
)

// The files of an enrollment at a manager.
const (
	pendingFile = "enrollment/pending.json"
	csrKeyFile  = "enrollment/key.pem"
	bundleFile  = "enrollment/bundle.json"
	caFile      = "certs/ca.pem"
	certFile    = "certs/server.pem"
	keyFile     = "certs/server.key.pem"
	crlFile     = "certs/crl.pem"
)

// startManager starts a server whose manager approves by itself, unless args
// say otherwise.
func startManager(t *testing.T, args ...string) *server {
	t.Helper()
	return startServer(t, args...)
}

// newHost is a fresh machine that is configured for the server's manager
// alone.
func newHost(t *testing.T, s *server) *machine {
	t.Helper()
	m := newMachine(t, nil)
	m.atManager(s)
	m.delays(10*time.Millisecond, 50*time.Millisecond)
	return m
}

// atManager configures the server's manager, beside what is configured.
func (m *machine) atManager(s *server) {
	m.env["MUSTER_MANAGER_URL"] = s.URL
	m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = s.CA
	m.env["MUSTER_POLLING_INTERVAL"] = "20ms"
	m.env["MUSTER_LISTEN_ADDR"] = "127.0.0.1:0"
	m.env["MUSTER_REPORT_IP"] = "127.0.0.1" // for the certificate's name
}

// host is a registration that the manager knows.
type host struct {
	ID, State    string
	CSR          bool
	Polls        int
	Certificates []struct {
		Serial  string
		Revoked bool
	}
}

// hosts are the manager's registrations, oldest first.
func (s *server) hosts() []host {
	s.t.Helper()
	var known struct{ Enrollments []host }
	decode(s.t, s.call("GET", "/_fake/state", ""), &known)
	return known.Enrollments
}

// decide is an operator's word: approve, deny, remove or revoke.
func (s *server) decide(id, what string) {
	s.t.Helper()
	s.call("POST", "/_fake/enrollments/"+id+"/"+what, "")
}

// registered waits for the n-th registration and returns it.
func (s *server) registered(n int) host {
	s.t.Helper()
	var list []host
	eventually(s.t, func() string {
		if list = s.hosts(); len(list) >= n {
			return ""
		}
		return fmt.Sprintf("the manager knows %d registrations, not %d", len(list), n)
	})
	return list[n-1]
}

// listening waits until the agent serves, and returns where.
func (a *agent) listening() string { a.m.t.Helper(); return a.logged("listening", 1).Addr }

// health is what GET /health says.
type health struct {
	Status      string
	Version     string
	Uptime      *int `json:"uptime_seconds"`
	Certificate struct{ Status string }
}

// peer is a client of the machine's listener that has the machine's own
// certificate: whatever is in force when it opens a connection.
func (m *machine) peer() *http.Client {
	m.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(m.read(caFile)) {
		m.t.Fatal("ca.pem holds no certificate")
	}
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs:    roots,
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return m.pair()
		},
	}}}
}

// pair is the machine's certificate and key. They may be just being replaced.
func (m *machine) pair() (*tls.Certificate, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		pair, err := tls.LoadX509KeyPair(m.path(certFile), m.path(keyFile))
		if err == nil || time.Now().After(deadline) {
			return &pair, err
		}
	}
}

// ask asks a listener for its health.
func ask(client *http.Client, addr string) (health, error) {
	var h health
	resp, err := client.Get("https://" + addr + "/health")
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return h, err
	}
	if resp.StatusCode != http.StatusOK {
		return h, fmt.Errorf("%s: %s", resp.Status, body)
	}
	return h, json.Unmarshal(body, &h)
}

// serves asserts that the agent answers a peer, and nobody else. It is asked
// again only where the certificate is so short-lived that it may have run out
// before the question, on a busy machine; then there is another soon.
func (a *agent) serves() (h health) {
	a.m.t.Helper()
	addr := a.listening()
	eventually(a.m.t, func() string {
		var err error
		if h, err = ask(a.m.peer(), addr); err == nil {
			return ""
		}
		why := fmt.Sprintf("a peer is not answered: %v\n%s", err, a.log.tail())
		if pair, err := a.m.pair(); err != nil || pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore) > patience {
			a.m.t.Fatal(why)
		}
		return why
	})
	stranger := a.m.peer()
	stranger.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = nil
	if _, err := ask(stranger, addr); err == nil {
		a.m.t.Error("a client without a certificate is answered")
	}
	return h
}

// has reports whether there is a file in the state directory.
func (m *machine) has(name string) bool {
	m.t.Helper()
	_, err := os.Stat(m.path(name))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return err == nil
}

// previous lists what is left of a former set.
func (m *machine) previous() []string {
	m.t.Helper()
	left, err := filepath.Glob(m.path("certs/*.previous*"))
	if err != nil {
		m.t.Fatal(err)
	}
	return left
}

// installed asserts that an enrollment left nothing of its own behind.
func (m *machine) installed() {
	m.t.Helper()
	for _, name := range []string{bundleFile, csrKeyFile, bundleFile + ".new", csrKeyFile + ".new", "enrollment/rejected"} {
		if m.has(name) {
			m.t.Errorf("%s is left", name)
		}
	}
	if left := m.previous(); left != nil {
		m.t.Errorf("left: %v", left)
	}
}

// settled asserts the same, and that nothing was set aside.
func (m *machine) settled() {
	m.t.Helper()
	m.installed()
	if aside := m.setAside(); aside != nil {
		m.t.Errorf("set aside: %v", aside)
	}
}
