package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
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
	const hosts = 4 // that many beside each other
	for n := range hosts {
		t.Run(fmt.Sprint("host ", n+1), func(t *testing.T) {
			t.Parallel()
			renewedUnderTraffic(t)
		})
	}
}

func renewedUnderTraffic(t *testing.T) {
	t.Helper()
	const pace = 250 * time.Millisecond // of new connections
	is := is.New(t)
	// Due after 1 to 10 s (cert.RenewAt), and good for 30 s more: a busy machine
	// may take seconds for a renewal.
	s := startManager(t, "--cert-lifetime", "90s", "--cert-age", "50s")
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
		// Not by an http.Transport, which gives up a connection where its own
		// goroutines get no processor for 50 ms.
		conn, err := tls.Dial("tcp", addr, m.peer().Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			fail("opening the connection that is kept", err)
			return
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		for ticker := time.NewTicker(pace / 2); ; <-ticker.C {
			if err := askOver(conn, answers); err != nil {
				fail("on the connection that is kept", err)
				return
			}
			kept.Add(1)
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	clients.Go(func() { // new ones
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
	traffic := func() {
		before := fresh.Load()
		eventually(t, func() string {
			if n := fresh.Load() - before; n < 4 || failed.Load() > 0 {
				return fmt.Sprintf("%d connections, %d failed", n, failed.Load())
			}
			return ""
		})
	}
	traffic()
	a.logged("certs.renewed", 1)
	traffic()
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
	is.True(len(serials) >= 2)                     // the first and a renewed one
	is.True(fresh.Load() >= 8 && kept.Load() >= 8) // there was traffic
	t.Logf("%d requests on the connection that is kept, %d on new ones, %d failed", kept.Load(), fresh.Load(), failed.Load())
	eventually(t, func() string {
		if left := m.previous(); left != nil {
			return fmt.Sprintf("left: %v", left)
		}
		return ""
	})
}

// askOver asks for the health over an open connection.
func askOver(conn net.Conn, answers *bufio.Reader) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: host\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || answer.Close {
		return fmt.Errorf("the answer is %s; the connection is to be closed: %t", answer.Status, answer.Close)
	}
	return nil
}

// dueAtOnce are a server's flags for hosts whose first certificate is due for
// renewal as soon as it is there, and good for ten minutes more.
var dueAtOnce = []string{"--cert-lifetime", "1h", "--cert-age", "50m"}

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
		is.True(strings.Contains(m.must(0, "renew-certs").out, "valid until"))
	})
	t.Run("due", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t, dueAtOnce...)
		m := newHost(t, s)
		m.must(0, "enroll")
		before := m.read(certFile)
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
		s := startManager(t, append([]string{"--approve", "manual", "--no-renew", "--reregister"}, dueAtOnce...)...)
		m := newHost(t, s)
		a := m.start("enroll")
		s.decide(s.registered(1).ID, "approve")
		is.Equal(a.wait(), 0)
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
		s := startManager(t, append([]string{"--no-renew"}, dueAtOnce...)...)
		m := newHost(t, s)
		m.must(0, "enroll")
		r := m.must(1, "renew-certs")
		is.True(strings.Contains(r.out, "remove or re-approve"))
	})
	t.Run("the manager is gone", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startManager(t)
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
