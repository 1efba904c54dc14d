package e2e

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// manners is a wiretap's answer in front of a manager, which learns every
// secret that passes and repeats them in its own refusals.
type manners struct {
	c *canary

	mu     sync.Mutex
	token  string
	rude   []action // answers of its own, in turn, to questions for a decision
	served int
}

// learn adds what the answers of a manager hold.
func (m *manners) learn(path string, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := string(body)
	if at := strings.Index(text, `"polling_token":"`); at >= 0 {
		m.token, _, _ = strings.Cut(text[at+len(`"polling_token":"`):], `"`)
		m.c.secrets["polling token "+fmt.Sprint(len(m.c.secrets))] = m.token
	}
}

// learnKey adds what makes a private key private, as a PEM file shows it:
// its lines but the first, which all keys of a kind begin alike.
func (c *canary) learnKey(name string, content []byte) {
	c.t.Helper()
	block, _ := pem.Decode(content)
	if block == nil {
		return // not there, or not whole
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	if d, ok := key.(interface{ Bytes() ([]byte, error) }); ok {
		raw, err := d.Bytes()
		if err != nil {
			c.t.Fatal(err)
		}
		c.secrets[name+" (scalar)"] = string(raw)
	}
	text := base64.StdEncoding.EncodeToString(block.Bytes)
	// A PKCS#8 key of P-256 begins with 36 bytes that all of them share, and
	// ends with its public key.
	c.secrets[name] = text[48 : 48+40]
	if !leaks(string(content), c.secrets[name]) {
		c.t.Fatal("the key's own file does not show it: it would not be found elsewhere either")
	}
}

// visitHost searches what a host shows beside the files that are there for its
// secrets.
func (c *canary) visitHost(a *agent) {
	c.t.Helper()
	m := a.m
	for _, name := range []string{csrKeyFile, keyFile, keyFile + ".previous"} {
		if content, err := os.ReadFile(m.path(name)); err == nil {
			c.learnKey(fmt.Sprintf("%s %d", name, len(c.secrets)), content)
		}
	}
	c.search("the agent's log", a.log.String())
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"config"}, {"identify", "--json"}, {"enroll"}, {"renew-certs"}, {"run"}} {
		c.search("muster "+strings.Join(args, " "), m.do(args...).String())
	}
	walk(c.t, m.dir, func(path string, d fs.DirEntry) {
		name, err := filepath.Rel(m.dir, path)
		if err != nil {
			c.t.Fatal(err)
		}
		name = filepath.ToSlash(name)
		switch {
		case !d.Type().IsRegular(), strings.HasPrefix(name, pendingFile), strings.HasPrefix(name, csrKeyFile), strings.HasPrefix(name, keyFile),
			strings.HasPrefix(name, bundleFile), strings.HasPrefix(name, "enrollment/rejected/"):
			return
		}
		if content, err := os.ReadFile(path); err == nil { // it may be gone by now
			c.search(path, string(content))
		}
	})
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", a.cmd.Process.Pid)); err == nil {
		c.search("the process's arguments", string(cmdline))
	} else if runtime.GOOS == "linux" {
		c.t.Error(err)
	}
}

func TestNoPartOfAPollingTokenOrPrivateKeyShows(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"the host's own key", "a key that the manager made"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			args := []string{"--approve", "manual", "--cert-lifetime", "30s"} // of which 17 s pass before it is due
			if strings.Contains(kind, "manager") {
				args = append(args, "--ignore-csr", "--no-renew", "--reregister")
			}
			s := startManager(t, args...)
			c := newCanary(t)
			front := &manners{c: c}
			var w *wiretap
			listening := make(chan struct{})
			w = tap(t, s, func(rw http.ResponseWriter, r *http.Request) {
				<-listening
				asked := strings.Contains(r.URL.Path, "/enroll/status/")
				front.mu.Lock()
				var rude *action
				if asked && front.served < len(front.rude) {
					rude = &front.rude[front.served]
					front.served++
				}
				token := front.token
				front.mu.Unlock()
				if rude != nil {
					for name, value := range rude.Headers {
						rw.Header().Set(name, strings.ReplaceAll(value, "TOKEN", token))
					}
					if rude.Drop != "" {
						panic(http.ErrAbortHandler) // the connection breaks, and Go's error names the URL
					}
					rw.WriteHeader(rude.Status)
					_, _ = io.WriteString(rw, strings.ReplaceAll(rude.Body, "TOKEN", token))
					return
				}
				answer := httptest.NewRecorder()
				w.pass(answer, r)
				front.learn(r.URL.Path, answer.Body.Bytes())
				for name, values := range answer.Header() {
					rw.Header()[name] = values
				}
				rw.WriteHeader(answer.Code)
				_, _ = rw.Write(answer.Body.Bytes())
			})
			echo := `{"error":"the token TOKEN is not known here, see /api/v1/enroll/status/TOKEN","status":"TOKEN","code":"TOKEN"}`
			for _, status := range []int{200, 400, 401, 403, 409, 429, 500, 503} {
				front.rude = append(front.rude, action{Status: status, Body: echo}, action{Status: status, Body: "TOKEN"})
			}
			front.rude = append(front.rude,
				action{Status: 302, Headers: map[string]string{"Location": "https://elsewhere.example.org/TOKEN?token=TOKEN"}},
				action{Status: 307, Headers: map[string]string{"Location": "https://TOKEN.example.org/"}},
				action{Status: 503, Headers: map[string]string{"Retry-After": "TOKEN"}},
				action{Drop: "before_response"}, action{Drop: "before_response"},
				action{Status: 200, Body: echo + strings.Repeat(" ", 600)},
				action{Status: 200, Body: `{"status":"approved","ca_crt":"TOKEN","server_crt":"TOKEN","server_key":"TOKEN` + strings.Repeat("TOKEN", 20)},
			)
			close(listening)
			m := newHost(t, s)
			m.env["MUSTER_MANAGER_URL"], m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = w.URL, w.CA
			a := m.start()
			a.waited("enroll.rejected", 2)
			c.visitHost(a)
			eventually(t, func() string {
				front.mu.Lock()
				defer front.mu.Unlock()
				if front.served < len(front.rude) {
					return fmt.Sprintf("%d of %d answers were seen", front.served, len(front.rude))
				}
				return ""
			})
			a.logged("enroll.pending", 2)
			// The manager goes away: a failed connection's error names its URL.
			s.fault(anyPollPath, 2, action{Drop: "before_response"})
			c.visitHost(a)
			list := s.hosts() // of which it makes one more when its certificate is due
			s.decide(list[len(list)-1].ID, "approve")
			a.serves()
			c.visitHost(a)
			if strings.Contains(kind, "own") {
				// The renewal goes round the wiretap's TLS, so to the manager itself.
				m.env["MUSTER_MANAGER_URL"], m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = s.URL, s.CA
				a.kill()
				a = m.start()
				a.logged("certs.renewed", 1)
			} else {
				s.decide(s.registered(len(list)+1).ID, "approve")
				a.logged("certs.installed", 2)
			}
			c.visitHost(a)

			for _, sig := range toCrash[:min(1, len(toCrash))] {
				if code := first(a.signal(sig)); code >= 0 && code <= 2 {
					t.Errorf("a crash ends with %d", code)
				}
				a.said("goroutine ")
				c.search("the agent's last words", a.log.String())
			}
			for _, sub := range []string{"/_fake/requests", "/_fake/state"} {
				c.search(sub, string(s.call("GET", sub, "")))
			}
			s.stop()
			c.search("the server's complaints", s.errs.String())
			if len(c.secrets) < 5 || c.seen < 40 {
				t.Errorf("%d secrets were looked for in %d texts: that is not what this test is for", len(c.secrets), c.seen)
			}
			t.Logf("%d secrets in %d texts", len(c.secrets), c.seen)
		})
	}
}

// The token is in no error although it is in a URL: a person who waits sees
// every failure of a poll.
func TestThePollingTokenIsInNoErrorOfEnroll(t *testing.T) {
	t.Parallel()
	s := startManager(t, "--approve", "manual")
	p := closedPort(t)
	p.open(strings.TrimPrefix(s.URL, "https://"))
	m := newHost(t, s)
	m.env["MUSTER_MANAGER_URL"] = "https://" + p.addr
	m.undecided()
	var held struct {
		Token string `json:"polling_token"`
	}
	m.record(pendingFile, &held)
	if len(held.Token) < 20 {
		t.Fatal("there is no token")
	}
	c := newCanary(t)
	c.secrets["polling token"] = held.Token
	p.close()
	c.search("enroll", m.do("enroll").String()) // refused
	p.open("127.0.0.1:1")
	c.search("enroll", m.do("enroll").String()) // cut
	p.close()
	p.open(strings.TrimPrefix(s.URL, "https://"))
	m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = startManager(t).CA
	c.search("enroll", m.do("enroll").String()) // not trusted
	m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = s.CA
	s.fault(anyPollPath, 0, action{Delay: time.Hour.String()})
	before := len(s.requestsTo(pollPath))
	a := m.start("enroll") // told to stop within a poll
	s.asked(pollPath, before+1)
	if code := first(a.stop()); code != 2 {
		t.Errorf("told to stop within a poll it ends with %d", code)
	}
	c.search("enroll", a.log.String())
}
