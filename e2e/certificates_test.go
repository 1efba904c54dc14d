package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
	s := startServer(t, "--cert-lifetime", "90s", "--cert-age", "50s")
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
	is.Equal(len(s.Hosts()), 1)
	is.Equal(len(s.RequestsTo(registerPath)), 1)
	serials := map[string]bool{}
	for _, c := range s.Hosts()[0].Certificates {
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
		s := startServer(t)
		m := newHost(t, s)
		m.must(0, "enroll")
		for _, command := range []string{"renew-certs", "--renew-certs"} {
			r := m.must(0, command)
			is.True(strings.Contains(r.out, "valid until "+m.status().Certificate.NotAfter.UTC().Format("2006-01-02 15:04:05")))
		}
		is.Equal(len(s.RequestsTo(renewPath)), 0)

		// Beside a service it is the service that answers.
		a := m.start()
		a.serves()
		is.True(strings.Contains(m.must(0, "renew-certs").out, "valid until"))
	})
	t.Run("due", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t, dueAtOnce...)
		m := newHost(t, s)
		m.must(0, "enroll")
		before := m.read(certFile)
		r := m.must(0, "renew-certs")
		is.True(strings.Contains(r.out, "installed, valid until"))
		is.True(string(m.read(certFile)) != string(before)) // another certificate
		is.Equal(len(s.RequestsTo(renewPath)), 1)
		is.Equal(len(s.RequestsTo(registerPath)), 1)
		m.settled()
	})
	t.Run("an operator must approve", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t, append([]string{"--approve", "manual", "--no-renew", "--reregister"}, dueAtOnce...)...)
		m := newHost(t, s)
		a := m.start("enroll")
		s.Decide(s.Registered(1).ID, "approve")
		is.Equal(a.wait(), 0)
		for range 2 {
			r := m.must(2, "renew-certs")
			is.True(strings.Contains(r.out, "operator must approve"))
		}
		is.Equal(len(s.RequestsTo(registerPath)), 2)
		s.Decide("e2", "approve")
		m.must(0, "renew-certs")
	})
	t.Run("the host exists at a manager that does not renew", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t, append([]string{"--no-renew"}, dueAtOnce...)...)
		m := newHost(t, s)
		m.must(0, "enroll")
		r := m.must(1, "renew-certs")
		is.True(strings.Contains(r.out, "remove or re-approve"))
	})
	t.Run("the manager is gone", func(t *testing.T) {
		t.Parallel()
		is := is.New(t)
		s := startServer(t)
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

func TestTheURLGivenToEnrollIsKeptForRun(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, other := startServer(t, "--approve", "manual"), startServer(t)
	m := newHost(t, s)
	delete(m.env, "MUSTER_MANAGER_URL")
	m.env["MUSTER_POLLING_INTERVAL"] = "1s" // the least for a manager that may be anywhere
	m.must(1, "enroll")
	m.must(1, "enroll", "ftp://127.0.0.1/")
	for _, given := range []string{s.URL + "/", s.URL + "/api/v1"} {
		m.undecided(given)
	}
	is.Equal(len(s.Hosts()), 1)                 // the same manager, however it is written
	is.True(shows(m, s.URL, "from enrollment")) // what enroll was given

	a := m.start()
	a.logged("manager.resumed", 1)
	s.Decide("e1", "approve")
	a.serves()
	is.Equal(first(a.stop()), 0)
	is.True(shows(m, s.URL, "from enrollment")) // still, with the certificate installed
	a = m.start()
	a.serves()
	m.stands(func(st status) bool { return st.State == "serving" && st.Enrollment.Manager.State == "approved" })
	is.Equal(first(a.stop()), 0)

	// What is configured wins.
	m.env["MUSTER_MANAGER_URL"] = other.URL
	is.True(shows(m, other.URL, "")) // what is configured wins
	is.True(!shows(m, "", "from enrollment"))
}

// shows reports whether the configuration shows the manager, and from where.
func shows(m *machine, url, from string) bool {
	m.t.Helper()
	for row := range strings.Lines(m.must(0, "config").out) {
		if strings.HasPrefix(row, "MUSTER_MANAGER_URL ") {
			return strings.Contains(row, url) && strings.Contains(row, from)
		}
	}
	return false
}

func TestDamagedCertificateFilesAreSetAside(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t, "--reregister")
	m := newHost(t, s)
	private := filepath.Join(t.TempDir(), "private", "host.key") // another directory than the others'
	m.env["MUSTER_SERVER_KEY"] = private
	m.must(0, "enroll")
	held := map[string][]byte{
		private:          []byte("PRECIOUS"),
		m.path(caFile):   {},
		m.path(certFile): m.read(certFile)[:len(m.read(certFile))*3/4],
		m.path(crlFile):  []byte("garbage"),
	}
	for path, content := range held {
		is.NoErr(os.WriteFile(path, content, 0o600)) // its mode stays
	}
	copies := func(path string) []string {
		found, err := filepath.Glob(path + ".damaged-*")
		is.NoErr(err)
		return found
	}
	m.do("status") // only looking moves nothing
	for path := range held {
		is.Equal(copies(path), nil)
	}

	a := m.start()
	l := a.await("store.recovered", len(held), func(l line) bool { return l.Level == "WARN" && l.Action == "set aside" })
	is.True(!strings.Contains(l.Msg, "PRECIOUS"))
	a.logged("certs.installed", 1)
	is.Equal(m.is("serving").Certificate.Status, "valid")
	m.installed()
	for path, content := range held {
		aside := copies(path)
		if len(aside) != 1 {
			t.Fatalf("of %s there are the copies %v", path, aside)
		}
		kept, err := os.ReadFile(aside[0])
		is.NoErr(err)
		is.True(bytes.Equal(kept, content)) // as it was
		now, err := os.Stat(path)
		is.NoErr(err)
		then, err := os.Stat(aside[0])
		is.NoErr(err)
		is.Equal(then.Mode(), now.Mode()) // as the new one's: as it was installed
		is.True(strings.Contains(a.log.String(), filepath.Base(aside[0])))
	}
	is.Equal(first(a.stop()), 0)

	removed := m.must(0, "unenroll", "--yes").out
	is.True(strings.Contains(removed, private+".damaged-"))
	for path := range held {
		is.Equal(copies(path), nil)
		_, err := os.Stat(path)
		is.True(os.IsNotExist(err)) // removed with the rest
	}
	is.Equal(m.setAside(), nil)
}

// foreign is the same file of a host of another manager.
func (m *machine) foreign(name string) []byte {
	m.t.Helper()
	other := newHost(m.t, startServer(m.t))
	other.must(0, "enroll")
	return other.read(name)
}

func TestCertificatesPlacedByHandAreServedWithoutAManager(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t)
	donor := newHost(t, s)
	donor.must(0, "enroll")
	m := newMachine(t, nil)
	m.env["MUSTER_LISTEN_ADDR"] = "127.0.0.1:0"
	m.env["MUSTER_CA_CERT"], m.env["MUSTER_SERVER_CERT"], m.env["MUSTER_SERVER_KEY"] = donor.path(caFile), donor.path(certFile), donor.path(keyFile)
	is.NoErr(os.Rename(donor.path(keyFile), donor.path("away")))
	is.Equal(m.start().wait(), 0) // without its key it is nothing yet

	// One that is not good is no reason to end: it may become so.
	donor.write(keyFile, m.foreign(keyFile))
	a := m.start()
	is.Equal(m.is("blocked").Certificate.Status, "key_mismatch")
	is.NoErr(os.Rename(donor.path("away"), donor.path(keyFile)))
	is.True(strings.Contains(m.must(0, "renew-certs").out, "nobody renews it")) // and has it looked at now
	_, err := ask(donor.peer(), a.listening())
	is.NoErr(err)
	st := m.is("serving")
	is.Equal(st.Enrollment.Manager.State, "not_configured")
	is.Equal(st.Certificate.Status, "valid")

	// With a manager they count as enrolled.
	is.Equal(first(a.stop()), 0)
	m.atManager(s)
	is.True(strings.Contains(m.must(0, "enroll").out, "valid until"))
	is.Equal(len(s.RequestsTo(registerPath)), 1)
}

func TestTheRevocationListIsKeptFresh(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := startServer(t, "--crl-lifetime", "2s")
	m := newHost(t, s)
	a := m.start()
	a.serves()
	former := m.read(crlFile)
	s.asked(crlPath, 2)
	eventually(t, func() string {
		if bytes.Equal(m.read(crlFile), former) {
			return "the list is the old one"
		}
		return ""
	})

	// Who is revoked is not served any more; here it is the host itself.
	s.Decide("e1", "revoke")
	m.stands(func(st status) bool { return st.Certificate.Status == "revoked" })
	st := m.stands(func(st status) bool { return st.Enrollment.Manager.State == "conflict" })
	is.Equal(st.State, "blocked")
	if _, err := ask(m.peer(), a.listening()); err == nil {
		t.Error("a revoked client is answered")
	}
	s.Decide("e1", "approve") // an operator lets it in again
	a.logged("certs.installed", 2)
	a.serves()
	is.Equal(m.is("serving").Certificate.Status, "valid")
}
