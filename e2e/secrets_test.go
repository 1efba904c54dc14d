package e2e

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// canary watches that no part of a secret shows where it must not.
type canary struct {
	t    *testing.T
	seen int // texts that were searched

	mu      sync.Mutex
	secrets map[string]string // by name
}

func (c *canary) add(name, secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets[name] = secret
}

// addNext is add for one of several of a name.
func (c *canary) addNext(name, secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets[fmt.Sprint(name, " ", len(c.secrets))] = secret
}

func newCanary(t *testing.T) *canary { return &canary{t: t, secrets: map[string]string{}} }

// mark makes a secret that is like no other text.
func (c *canary) mark(name, prefix string) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	secret := prefix + base64.RawURLEncoding.EncodeToString(b[:])
	c.add(name, secret)
	return secret
}

// learn adds the keys that the machine has now.
func (c *canary) learn(m *machine) {
	c.t.Helper()
	if m.stored() {
		key := m.key()
		c.add("API key "+key[len(key)-4:], key)
	}
	for _, name := range []string{csrKeyFile, keyFile, keyFile + ".previous"} {
		if content, err := os.ReadFile(m.path(name)); err == nil {
			c.learnKey(name, content)
		}
	}
}

// search fails the test if any part of a secret of 8 characters or more is in a
// text, as it is, in hex or in base64.
func (c *canary) search(where, text string) {
	c.t.Helper()
	c.seen++
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, secret := range c.secrets {
		encoded := base64.StdEncoding.EncodeToString([]byte(secret))
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), encoded[:len(encoded)-4], url.QueryEscape(secret)} {
			if leaks(text, form) {
				c.t.Errorf("%s shows a part of the %s:\n%s", where, name, leakyLine(text, form))
				return
			}
		}
	}
}

// visit searches everything that a machine shows: what it wrote, what the
// commands say, every file but those that are there for its secrets, its
// process.
func (c *canary) visit(a *agent) {
	c.t.Helper()
	m := a.m
	c.learn(m)
	c.search("the agent's log", a.log.String())
	for _, args := range [][]string{
		{"status"},
		{"status", "--json"},
		{"config"},
		{"identify", "--json"},
		{"enroll"},
		{"enroll", "--force"},
		{"renew-certs"},
		{"run"},
		{"unenroll", "--yes"},
		{"version"},
	} {
		c.search("muster "+strings.Join(args, " "), m.do(args...).String())
	}
	c.files(m, credentialFile, pendingFile, csrKeyFile, keyFile, bundleFile, "enrollment/rejected/")
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", a.cmd.Process.Pid)); err == nil {
		c.search("the process's arguments", string(cmdline))
	} else if runtime.GOOS == "linux" {
		c.t.Error(err)
	}
}

// files searches the state directory but for the files that are there for a
// secret, and their damaged copies.
func (c *canary) files(m *machine, but ...string) {
	c.t.Helper()
	walk(c.t, m.dir, func(path string, d fs.DirEntry) {
		name, err := filepath.Rel(m.dir, path)
		if err != nil {
			c.t.Fatal(err)
		}
		secret := func(of string) bool { return strings.HasPrefix(filepath.ToSlash(name), of) }
		if !d.Type().IsRegular() || slices.ContainsFunc(but, secret) {
			return
		}
		if content, err := os.ReadFile(path); err == nil { // it may be gone by now
			c.search(path, string(content))
		}
	})
}

// finish lets an agent crash, where that can be had, and searches what it
// says then; and what the server has said, in the end.
func (c *canary) finish(a *agent, s *server) {
	c.t.Helper()
	for _, sig := range toCrash[:min(1, len(toCrash))] {
		if code := first(a.signal(sig)); code >= 0 && code <= 2 {
			c.t.Errorf("a crash ends with %d", code)
		}
		a.said("goroutine ")
		c.search("the agent's last words", a.log.String())
	}
	for _, part := range []string{"/_fake/requests", "/_fake/state"} {
		c.search(part, string(s.Call("GET", part, "")))
	}
	s.Stop()
	c.search("the server's complaints", s.Errs.String())
	if len(c.secrets) < 4 || c.seen < 40 {
		c.t.Errorf("%d secrets were looked for in %d texts: that is not what this test is for", len(c.secrets), c.seen)
	}
}

func TestNoPartOfASecretShows(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	key := c.mark("enrollment key", "cek_")
	ca := filepath.Join(publicDir(t), "ca.pem")
	s := serve(t, "--ca-out", ca, "--site", site+"="+key)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()

	m := newMachine(t, nil)
	m.configure(s.URL, s.CA)
	m.env["MUSTER_ENROLLMENT_KEY"] = key
	m.hasty()

	// A server with bad manners repeats what it was sent.
	foreign := c.mark("API key in a refusal", "cak_")
	echo := fmt.Sprintf(`{"error":"the key %s (%s) is not known; use %s instead","code":"%s","key":"%s"}`, key, key[4:], foreign, key, foreign)
	outcomes := []action{}
	for _, status := range []int{400, 401, 403, 404, 409, 202, 429, 500, 503} {
		outcomes = append(outcomes, action{Status: status, Body: echo})
	}
	outcomes = append(
		outcomes,
		action{Status: 302, Headers: map[string]string{"Location": elsewhere.URL + "/" + key + "?key=" + key}},
		action{Status: 307, Headers: map[string]string{"Location": "https://" + key + ".example.org/"}},
		action{Status: 401, Body: key},
		action{Status: 401, Body: `{"error":` + "\"" + key + "\""},
		action{Status: 201, Body: `{"key":"` + key + `"}`}, // no usable key
		action{Status: 201, Body: `{"key":"` + foreign + ` "}`},
		action{Status: 201, Body: `{"key":"` + foreign},
		action{Status: 200, Body: foreign},
		action{Status: 429, Headers: map[string]string{"Retry-After": key}},
		action{Status: 503, Headers: map[string]string{"Date": key}},
		action{Corrupt: true, Body: `{"key":"` + foreign + `"}`},
		action{Drop: "before_response"},
		action{Drop: "mid_body", Status: 201, Body: echo},
		action{Drop: "after_commit"},
	)
	for _, a := range outcomes {
		s.fault(enrollPath, 1, a)
	}
	a := m.start()
	a.waited("enroll.retry", 3)
	c.visit(a)
	a.connected()
	s.onlyMachine(m)
	c.visit(a)
	if n := s.enrollments(); n < len(outcomes)+1 {
		t.Errorf("only %d of %d outcomes were seen", n, len(outcomes))
	}

	// The relay, too.
	stored := m.key()
	relayEcho := fmt.Sprintf(`{"code":%q,"error":%q}`, stored, stored)
	refusals := []action{
		{Status: 401, Body: relayEcho},
		{Status: 403, Body: stored},
		{Status: 404, Body: relayEcho},
		{Status: 500, Body: relayEcho},
		{Status: 302, Headers: map[string]string{"Location": elsewhere.URL + "/ws/agent?api_key=" + stored}},
		{Status: 401, Body: `{"code":"UNKNOWN_AGENT","error":"` + stored + `"}`},
		{Status: 200, Body: relayEcho},
		{Corrupt: true},
		{Drop: "before_response"},
		{Drop: "mid_body"},
		{Drop: "after_commit"},
	}
	for _, refusal := range refusals {
		s.fault(relayPath, 1, refusal)
	}
	s.cut(m)
	a.logged("relay.connected", 2)
	s.send(m, `{"type":"`+stored+`"}`)
	s.send(m, `{"type":"`+key+`"}`)
	s.send(m, `{"type":"last"}`)
	a.said(`"type":"last"`)
	c.visit(a)

	// Another key, and what is left of the first in damaged files.
	s.fault(enrollPath, 2, action{Status: 401, Body: echo})
	s.send(m, `{"type":"reenroll"}`)
	a.logged("credential.stored", 2)
	s.onlyMachine(m)
	c.visit(a)
	a.kill()
	m.write(credentialFile, m.read(credentialFile)[:len(m.read(credentialFile))-9])
	a = m.start().connected()
	c.learn(m)
	c.search("the agent's log", a.log.String())
	c.search("muster status", m.do("status").String())

	c.finish(a, s)
	a.kill()
	m.must(0, "unenroll", "--yes")
	c.files(m)
}

func TestNoPartOfASecretShowsInAWrongCallOrConfiguration(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	key, apiKey, password := c.mark("enrollment key", "cek_"), c.mark("shared key", ""), c.mark("proxy's password", "")
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.env")
	if err := os.WriteFile(file, []byte("MUSTER_SITE_CODE="+key+"\n"+key+"\nMUSTER_"+key+"=1\nMUSTER_ENROLLMENT_KEY='"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t)
	for _, env := range []map[string]string{
		{},
		{"MUSTER_ENROLLMENT_KEY": key[4:]},
		{"MUSTER_ENROLLMENT_KEY": key + " " + key},
		{"MUSTER_ENROLLMENT_KEY": "", "MUSTER_ENROLLMENT_KEY_FILE": key},
		{"MUSTER_SERVER_URL": "https://user:" + password + "@127.0.0.1/"},
		{"MUSTER_SERVER_URL": "https://127.0.0.1/?key=" + key},
		{"MUSTER_SERVER_URL": key},
		{"MUSTER_MACHINE_UID": key},
		{"MUSTER_AGENT_ID": key},
		{"MUSTER_STATE_DIR": key},
		{"MUSTER_" + key: "1"},
		{"MUSTER_TRANSIENT_MIN": key},
		{"MUSTER_LOG_LEVEL": key},
		{"MUSTER_TRUST_CA_FILE": filepath.Join(dir, key)},
		{"MUSTER_TRUST_SPKI_SHA256": key},
		{"MUSTER_SITE_CODE": "", "MUSTER_ENROLLMENT_KEY": "", "MUSTER_API_KEY": apiKey},
		{"MUSTER_API_KEY": apiKey, "MUSTER_API_KEY_FILE": file},
		{"HTTPS_PROXY": "http://user:" + password + "@127.0.0.1:9/", "MUSTER_SERVER_URL": "https://192.0.2.1/"},
		{"HTTPS_PROXY": "ftp://user:" + password + "@127.0.0.1:9/"},
		{"HTTPS_PROXY": "http://user:" + password + "@[::1"},
	} {
		m := newMachine(t, s)
		m.env["MUSTER_ENROLLMENT_KEY"] = key
		m.hasty()
		for name, value := range env {
			m.env[name] = value
		}
		for _, args := range [][]string{{"config"}, {"enroll"}, {"status"}, {"status", "--json"}, {"identify"}, {"enroll", "--config", file}} {
			c.search(fmt.Sprint("muster ", args, " with ", env), m.do(args...).String())
		}
	}
	m := newMachine(t, s)
	for _, args := range [][]string{
		{key},
		{"enroll", key},
		{"run", key},
		{"--enroll", key},
		{"--" + key},
		{"enroll", "--wait", key},
		{"--config", key},
		{"--log-level", key},
		{"--log-format", key, "run"},
		{"status", "--" + key + "=1"},
		{"completion", key},
		{"help", key},
		{"enroll", "--force=" + key},
		{"unenroll", key},
		{"version", key},
	} {
		c.search(fmt.Sprint("muster ", args), m.do(args...).String())
	}
}

// manners is a wiretap's answer in front of a manager, which learns the polling
// token that passes and repeats it in refusals of its own.
type manners struct {
	c *canary

	mu     sync.Mutex
	token  string
	rude   []action // answers of its own, in turn, to questions for a decision
	served int
}

func (m *manners) answer(pass http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if strings.Contains(r.URL.Path, "/enroll/status/") && m.served < len(m.rude) {
			rude := m.rude[m.served]
			m.served++
			if rude.Drop != "" {
				panic(http.ErrAbortHandler) // the connection breaks, and Go's error names the URL
			}
			for name, value := range rude.Headers {
				rw.Header().Set(name, strings.ReplaceAll(value, "TOKEN", m.token))
			}
			rw.WriteHeader(rude.Status)
			_, _ = io.WriteString(rw, strings.ReplaceAll(rude.Body, "TOKEN", m.token)) // a client that has gone needs no answer
			return
		}
		body, send := later(pass, r)
		if _, after, found := strings.Cut(string(body), `"polling_token":"`); found {
			m.token, _, _ = strings.Cut(after, `"`)
			m.c.addNext("polling token", m.token)
		}
		send(rw)
	}
}

// left is how many of its own answers it has still to give.
func (m *manners) left() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rude) - m.served
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
		c.addNext(name+" (scalar)", string(raw))
	}
	text := base64.StdEncoding.EncodeToString(block.Bytes)
	// A PKCS#8 key of P-256 begins with 36 bytes that all of them share, and
	// ends with its public key.
	private := text[48 : 48+40]
	c.addNext(name, private)
	if !leaks(string(content), private) {
		c.t.Fatal("the key's own file does not show it: it would not be found elsewhere either")
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
			s := startServer(t, args...)
			c := newCanary(t)
			front := &manners{c: c}
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
			w := tap(t, s, front.answer)
			m := newHost(t, s)
			m.env["MUSTER_MANAGER_URL"], m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = w.URL, w.CA
			a := m.start()
			a.waited("enroll.rejected", 2)
			c.visit(a)
			eventually(t, func() string {
				if n := front.left(); n > 0 {
					return fmt.Sprintf("%d answers were not seen", n)
				}
				return ""
			})
			a.logged("enroll.pending", 2)
			// The manager goes away: a failed connection's error names its URL.
			s.fault(anyPollPath, 2, action{Drop: "before_response"})
			c.visit(a)
			list := s.Hosts() // of which it makes one more when its certificate is due
			s.Decide(list[len(list)-1].ID, "approve")
			a.serves()
			c.visit(a)
			if strings.Contains(kind, "own") {
				// The renewal goes round the wiretap's TLS, so to the manager itself.
				m.env["MUSTER_MANAGER_URL"], m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = s.URL, s.CA
				a.kill()
				a = m.start()
				a.logged("certs.renewed", 1)
			} else {
				s.Decide(s.Registered(len(list)+1).ID, "approve")
				a.logged("certs.installed", 2)
			}
			c.visit(a)

			c.finish(a, s)
			t.Logf("%d secrets in %d texts", len(c.secrets), c.seen)
		})
	}
}

// The token is in no error although it is in a URL: a person who waits sees
// every failure of a poll.
func TestThePollingTokenIsInNoErrorOfEnroll(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--approve", "manual")
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
	c.add("polling token", held.Token)
	p.close()
	c.search("enroll", m.do("enroll").String()) // refused
	p.open("127.0.0.1:1")
	c.search("enroll", m.do("enroll").String()) // cut
	p.close()
	p.open(strings.TrimPrefix(s.URL, "https://"))
	m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = startServer(t).CA
	c.search("enroll", m.do("enroll").String()) // not trusted
	m.env["MUSTER_MANAGER_TRUST_CA_FILE"] = s.CA
	s.fault(anyPollPath, 0, action{Delay: time.Hour.String()})
	before := len(s.RequestsTo(pollPath))
	a := m.start("enroll") // told to stop within a poll
	s.asked(pollPath, before+1)
	if code := first(a.stop()); code != 2 {
		t.Errorf("told to stop within a poll it ends with %d", code)
	}
	c.search("enroll", a.log.String())
}
