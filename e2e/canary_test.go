package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// canary watches that no part of a secret shows where it must not.
type canary struct {
	t       *testing.T
	secrets map[string]string // by name
	seen    int               // texts that were searched
}

func newCanary(t *testing.T) *canary { return &canary{t: t, secrets: map[string]string{}} }

// mark makes a secret that is like no other text.
func (c *canary) mark(name, prefix string) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	secret := prefix + base64.RawURLEncoding.EncodeToString(b[:])
	c.secrets[name] = secret
	return secret
}

// learn adds the key that the machine has now.
func (c *canary) learn(m *machine) {
	c.t.Helper()
	if m.stored() {
		key := m.key()
		c.secrets["API key "+key[len(key)-4:]] = key
	}
}

// search fails the test if any part of a secret of 8 characters or more is in a
// text, as it is, in hex or in base64.
func (c *canary) search(where, text string) {
	c.t.Helper()
	c.seen++
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
// commands say, every file but the key's own, its process.
func (c *canary) visit(a *agent) {
	c.t.Helper()
	m := a.m
	c.learn(m)
	c.search("the agent's log", a.log.String())
	for _, args := range [][]string{
		{"status"}, {"status", "--json"}, {"config"}, {"identify", "--json"}, {"enroll"}, {"enroll", "--force"}, {"run"}, {"unenroll", "--yes"}, {"version"},
	} {
		c.search("muster "+strings.Join(args, " "), m.do(args...).String())
	}
	c.files(m, credentialFile)
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", a.cmd.Process.Pid)); err == nil {
		c.search("the process's arguments", string(cmdline))
	} else if runtime.GOOS == "linux" {
		c.t.Error(err)
	}
}

// files searches the state directory but for the one file that is there for a
// secret, and its damaged copies.
func (c *canary) files(m *machine, but string) {
	c.t.Helper()
	walk(c.t, m.dir, func(path string, d fs.DirEntry) {
		if !d.Type().IsRegular() || but != "" && strings.HasPrefix(path, m.path(but)) {
			return
		}
		if content, err := os.ReadFile(path); err == nil { // it may be gone by now
			c.search(path, string(content))
		}
	})
}

func (c *canary) server(s *server) {
	c.t.Helper()
	c.search("the server's history", string(s.call("GET", "/_fake/requests", "")))
	c.search("the server's state", string(s.call("GET", "/_fake/state", "")))
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
	m.delays(10*time.Millisecond, 20*time.Millisecond)

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

	// Its last words, if it crashes.
	for _, sig := range toCrash[:min(1, len(toCrash))] {
		if code := first(a.signal(sig)); code >= 0 && code <= 2 {
			t.Errorf("a crash ends with %d", code)
		}
		a.said("goroutine ")
		c.search("the agent's last words", a.log.String())
	}
	m.answer("yes\n", "unenroll")
	c.files(m, "")
	c.server(s)
	s.stop()
	c.search("the server's complaints", s.errs.String())
	if len(c.secrets) < 4 || c.seen < 50 {
		t.Errorf("%d secrets were looked for in %d texts: that is not what this test is for", len(c.secrets), c.seen)
	}
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
		m.delays(10*time.Millisecond, 20*time.Millisecond)
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
