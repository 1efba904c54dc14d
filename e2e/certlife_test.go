package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"
)

func TestACertificateIsRenewedUnderTrafficWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	const (
		renewals = 10
		lifetime = 8 * time.Second        // a busy machine may take seconds for a renewal
		pace     = 100 * time.Millisecond // of new connections
	)
	is := is.New(t)
	s := startManager(t, "--cert-lifetime", lifetime.String())
	m := newHost(t, s)
	a := m.start()
	a.serves()
	addr := a.listening()

	var failed, fresh, kept atomic.Int64
	fail := func(what string, err error) {
		if failed.Add(1) <= 5 {
			t.Errorf("%s, %s: %v", time.Now().Format(time.StampMilli), what, err)
		}
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); clients.Wait() })
	defer end()
	clients.Go(func() { // one connection, kept open
		client := m.peer()
		dials := 0
		transport := client.Transport.(*http.Transport)
		transport.MaxConnsPerHost = 1
		pair := transport.TLSClientConfig.GetClientCertificate
		transport.TLSClientConfig.GetClientCertificate = func(c *tls.CertificateRequestInfo) (*tls.Certificate, error) { dials++; return pair(c) }
		for ticker := time.NewTicker(pace / 2); ; <-ticker.C {
			if _, err := ask(client, addr); err != nil {
				fail("on the connection that is kept", err)
			}
			kept.Add(1)
			select {
			case <-stop:
				if dials != 1 {
					t.Errorf("the connection that was to be kept was opened %d times", dials)
				}
				client.CloseIdleConnections()
				return
			default:
			}
		}
	})
	clients.Go(func() { // ten new ones a second
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				clients.Go(func() {
					client := m.peer()
					defer client.CloseIdleConnections()
					if h, err := ask(client, addr); err != nil {
						fail("on a new connection", err)
					} else if h.Certificate.Status != "valid" && h.Certificate.Status != "expiring_soon" {
						fail("on a new connection", fmt.Errorf("the certificate is %s", h.Certificate.Status))
					}
					fresh.Add(1)
				})
			}
		}
	})
	began := time.Now()
	eventuallyWithin(t, renewals*lifetime+patience, func() string {
		if lines, _ := a.log.lines("certs.renewed"); len(lines) >= renewals {
			return ""
		}
		return "it is not renewed"
	})
	took := time.Since(began)
	end()
	a.runs()
	lines, _ := a.log.lines("listening")
	is.Equal(len(lines), 1) // the same listener
	is.Equal(len(s.hosts()), 1)
	is.Equal(len(s.requestsTo(registerPath)), 1)
	serials := map[string]bool{}
	for _, c := range s.hosts()[0].Certificates {
		serials[c.Serial] = true
	}
	is.True(len(serials) >= renewals+1)
	is.True(fresh.Load() >= 5*renewals) // there was traffic
	t.Logf("%d renewals in %v: %d requests on the connection that is kept, %d on new ones, %d failed",
		renewals, took.Round(time.Millisecond), kept.Load(), fresh.Load(), failed.Load())
	eventually(t, func() string {
		if left := m.previous(); left != nil {
			return fmt.Sprintf("left: %v", left)
		}
		return ""
	})
}

func TestRenewCertsAsAShellSeesIt(t *testing.T) {
	t.Parallel()
	t.Run("valid and not due", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t)
		m := newHost(t, s)
		m.must(0, "enroll")
		for _, command := range []string{"renew-certs", "--renew-certs"} {
			r := m.must(0, command)
			is.True(strings.Contains(r.out, "valid until "+m.status().Certificate.NotAfter.UTC().Format("2006-01-02 15:04:05")))
		}
		is.Equal(len(s.requestsTo(renewPath)), 0)

		// Beside a service it is the service that answers.
		a := m.start()
		a.serves()
		r := m.must(0, "renew-certs")
		is.True(strings.Contains(r.out, "valid until"))
		for _, command := range [][]string{{"enroll"}, {"enroll", s.URL}, {"--enroll"}} {
			r := m.must(1, command...)
			is.True(strings.Contains(r.errs, fmt.Sprint(a.cmd.Process.Pid)))
			is.True(strings.Contains(r.errs, "stop the service first"))
		}
		a.serves()
		is.Equal(len(s.requestsTo(registerPath)), 1)
	})
	t.Run("due", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t, "--cert-lifetime", short(4*time.Second))
		m := newHost(t, s)
		m.must(0, "enroll")
		before := m.read(certFile)
		m.due()
		r := m.must(0, "renew-certs")
		is.True(strings.Contains(r.out, "installed, valid until"))
		is.True(string(m.read(certFile)) != string(before))
		is.Equal(len(s.requestsTo(renewPath)), 1)
		is.Equal(len(s.requestsTo(registerPath)), 1)
		m.settled()
	})
	t.Run("an operator must approve", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t, "--cert-lifetime", short(4*time.Second), "--approve", "manual", "--no-renew", "--reregister")
		m := newHost(t, s)
		a := m.start("enroll")
		s.decide(s.registered(1).ID, "approve")
		is.Equal(a.wait(), 0)
		m.due()
		for range 2 {
			r := m.must(2, "renew-certs")
			is.True(strings.Contains(r.out, "operator must approve"))
		}
		is.Equal(len(s.requestsTo(registerPath)), 2)
		s.decide("e2", "approve")
		m.must(0, "renew-certs")
	})
	t.Run("the host exists at a manager that does not renew", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t, "--cert-lifetime", short(4*time.Second), "--no-renew")
		m := newHost(t, s)
		m.must(0, "enroll")
		m.due()
		r := m.must(1, "renew-certs")
		is.True(strings.Contains(r.out, "remove or re-approve"))
	})
	t.Run("the manager is gone", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t, "--cert-lifetime", "30s")
		p := closedPort(t)
		p.open(strings.TrimPrefix(s.URL, "https://"))
		m := newHost(t, s)
		m.env["MUSTER_MANAGER_URL"] = "https://" + p.addr
		m.must(0, "enroll")
		p.close()
		r := m.must(0, "renew-certs") // nobody needs to be asked
		is.True(strings.Contains(r.out, "valid until"))
		is.NoErr(os.Remove(m.path(certFile)))
		m.must(1, "renew-certs")
	})
}

// due waits until the certificate on disk is to be renewed.
func (m *machine) due() {
	m.t.Helper()
	m.stands(func(st status) bool { return st.Certificate.Status == "expiring_soon" })
}
