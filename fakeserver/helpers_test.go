package fakeserver_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/matryer/is"

	"github.com/muster-agent/muster/fakeserver"
)

const (
	testSite = "ACME-HQ"
	testKey  = "cek_canary-CANARY_0123456789"
	agentID  = "0b7e8a52-6a4f-4f0e-9b0c-0d8f3c1b2a34"
	timeout  = time.Minute // generous: test machines are slow and busy

	idempotencyKey = "5f0e7c64-0f5b-4d0c-9d43-2f9a7a2b6c11"
)

var (
	uid1 = "muid_" + strings.Repeat("1a", 32)
	uid2 = "muid_" + strings.Repeat("2b", 32)
)

// client speaks to a started fake over TLS.
type client struct {
	t    *testing.T
	s    *fakeserver.Server
	http *http.Client
}

func start(t *testing.T, s *fakeserver.Server) *client {
	t.Helper()
	is := is.New(t)
	_, err := s.AddSite(testSite, testKey)
	is.NoErr(err)
	is.NoErr(s.Start(t.Context(), "127.0.0.1:0"))
	t.Cleanup(s.Close)
	return &client{t, s, trusting(t, s)}
}

// trusting makes a client that trusts the fake's CA and shows certificates.
func trusting(t *testing.T, s *fakeserver.Server, certificates ...tls.Certificate) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: rootsOf(t, s), Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reply is an answer read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) member(name string) string {
	var members map[string]any
	if err := json.Unmarshal([]byte(r.body), &members); err != nil {
		return ""
	}
	text, _ := members[name].(string)
	return text
}

// try makes a request; headers come in pairs.
func (c *client) try(method, path, body string, headers ...string) (reply, error) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.s.URL()+path, strings.NewReader(body))
	is.New(c.t).NoErr(err)
	r.GetBody = nil // no second try behind our back
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, string(data)}, err
}

func (c *client) do(method, path, body string, headers ...string) reply {
	c.t.Helper()
	r, err := c.try(method, path, body, headers...)
	is.New(c.t).NoErr(err)
	return r
}

// message is a golden request, after a change unless that is nil.
func message(name string, change func(map[string]any)) string {
	var m map[string]any
	data, err := os.ReadFile(filepath.Join("testdata", "requests", name+".json"))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		panic(err)
	}
	if change != nil {
		change(m)
	}
	return asJSON(m)
}

func enrollBody(change func(map[string]any)) string   { return message("enroll", change) }
func registerBody(change func(map[string]any)) string { return message("register", change) }
func frame(change func(map[string]any)) string        { return message("agent_status", change) }

func asJSON(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err)
	}
	return b.String()
}

func set(name string, value any) func(map[string]any) {
	return func(m map[string]any) { m[name] = value }
}

func (c *client) enroll(change func(map[string]any)) reply {
	c.t.Helper()
	return c.do("POST", "/api/enroll", enrollBody(change))
}

func relayQuery(key string, change func(url.Values)) url.Values {
	query := url.Values{"agent_id": {agentID}, "machine_uid": {uid1}, "hostname": {"desk-17"}, "api_key": {key}}
	if key == "" {
		query.Del("api_key")
	}
	if change != nil {
		change(query)
	}
	return query
}

// dial opens a relay connection. The reply is that of the handshake.
func (c *client) dial(query url.Values, header http.Header) (*websocket.Conn, reply, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), timeout)
	defer cancel()
	conn, answer, err := websocket.Dial(ctx, c.s.URL()+"/ws/agent?"+query.Encode(),
		&websocket.DialOptions{HTTPClient: c.http, HTTPHeader: maps.Clone(header)})
	var r reply
	if answer != nil {
		r.status, r.header = answer.StatusCode, answer.Header
		if answer.Body != nil {
			data, _ := io.ReadAll(answer.Body) // websocket.Dial keeps at most 1 KiB of it
			r.body = string(data)
		}
	}
	if conn != nil {
		c.t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, r, err
}

// connect is dial for a connection that must come about.
func (c *client) connect(query url.Values) *websocket.Conn {
	c.t.Helper()
	conn, _, err := c.dial(query, nil)
	is.New(c.t).NoErr(err)
	c.await(func() bool { return c.session(query.Get("machine_uid")) != nil })
	return conn
}

// refused is dial for a connection that must not come about.
func (c *client) refused(query url.Values, header http.Header) reply {
	c.t.Helper()
	_, r, err := c.dial(query, header)
	is.New(c.t).True(err != nil) // no connection
	return r
}

func (c *client) session(uid string) *fakeserver.Session {
	for _, x := range c.s.State().Relay {
		if x.MachineUID == uid {
			return &x
		}
	}
	return nil
}

func (c *client) machine(uid string) *fakeserver.Machine {
	for _, m := range c.s.State().Machines {
		if m.MachineUID == uid {
			return &m
		}
	}
	return nil
}

func (c *client) await(condition func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), timeout)
	defer cancel()
	is.New(c.t).NoErr(c.s.Await(ctx, condition))
}

// closeCode reads until the connection ends.
func closeCode(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			is.New(t).NoErr(ctx.Err())
			return websocket.CloseStatus(err)
		}
	}
}

// clock is a wall clock that tests set.
type clock struct{ ch chan time.Time }

func newClock(at time.Time) *clock {
	c := &clock{make(chan time.Time, 1)}
	c.ch <- at
	return c
}

func (c *clock) now() time.Time { t := <-c.ch; c.ch <- t; return t }

func (c *clock) advance(d time.Duration) { t := <-c.ch; c.ch <- t.Add(d) }

func rootsOf(t *testing.T, s *fakeserver.Server) *x509.CertPool {
	return pool(t, string(s.CACertPEM()))
}

func pool(t *testing.T, pemText string) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	is.New(t).True(p.AppendCertsFromPEM([]byte(pemText)))
	return p
}

func (c *client) register(change func(map[string]any), headers ...string) reply {
	c.t.Helper()
	return c.do("POST", "/api/v1/enroll", registerBody(change), headers...)
}

func (c *client) poll(token string) reply {
	c.t.Helper()
	r := c.do("GET", "/api/v1/enroll/status/"+token, "")
	is.New(c.t).Equal(r.status, 200)
	return r
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	is.New(t).NoErr(err)
	return key
}

func csr(t *testing.T, key crypto.Signer, names ...string) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: "web-3"}, DNSNames: names}, key)
	is.New(t).NoErr(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func leaf(t *testing.T, pemText string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(pemText))
	is.New(t).True(block != nil)
	certificate, err := x509.ParseCertificate(block.Bytes)
	is.New(t).NoErr(err)
	return certificate
}

// check verifies a bundle as a client of the host would.
func check(t *testing.T, r reply, names ...string) *x509.Certificate {
	t.Helper()
	is := is.New(t)
	certificate := leaf(t, r.member("server_crt"))
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		for _, name := range names {
			_, err := certificate.Verify(x509.VerifyOptions{
				DNSName: name, Roots: pool(t, r.member("ca_crt")), Intermediates: pool(t, r.member("ca_chain")), KeyUsages: []x509.ExtKeyUsage{usage},
			})
			is.NoErr(err)
		}
	}
	_, err := certificate.Verify(x509.VerifyOptions{Roots: pool(t, r.member("ca_crt"))})
	is.True(err != nil) // the root alone does not do
	return certificate
}

// host is an enrolled host that can renew.
func host(t *testing.T, c *client) (*client, reply) {
	t.Helper()
	key := ecKey(t)
	r := c.poll(c.register(set("csr_pem", csr(t, key))).member("polling_token"))
	pair := tls.Certificate{Certificate: [][]byte{leaf(t, r.member("server_crt")).Raw}, PrivateKey: key}
	return &client{t, c.s, trusting(t, c.s, pair)}, r
}

func renewBody(t *testing.T, key crypto.Signer, names ...string) string {
	return asJSON(map[string]string{"csr_pem": csr(t, key, names...)})
}

func write(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	is.New(t).NoErr(conn.Write(t.Context(), websocket.MessageText, []byte(text)))
}

func (c *client) fault(body string) {
	c.t.Helper()
	r := c.do("POST", "/_fake/faults", body)
	is.New(c.t).Equal(r.body, "")
	is.New(c.t).Equal(r.status, 204)
}

// golden returns a message of testdata. They are written by hand, from
// docs/PROTOCOLS.md.
func golden(t *testing.T, kind, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", kind, name+".json"))
	is.New(t).NoErr(err)
	return string(data)
}

// answers checks an answer against a golden one, in which a text that begins with
// ~ is a pattern.
func answers(t *testing.T, r reply, status int, name string) {
	t.Helper()
	is := is.New(t)
	is.Equal(r.status, status)
	is.Equal(r.header.Get("Content-Type"), "application/json")
	var got, want any
	is.NoErr(json.Unmarshal([]byte(r.body), &got))
	is.NoErr(json.Unmarshal([]byte(golden(t, "answers", name)), &want))
	if !fits(got, want) {
		t.Errorf("%s: got %s", name, r.body)
	}
}

func fits(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		for name := range want {
			there, has := got[name]
			ok = ok && has && fits(there, want[name])
		}
		return ok && len(got) == len(want)
	case []any:
		got, ok := got.([]any)
		return ok && slices.EqualFunc(got, want, fits)
	case string:
		got, ok := got.(string)
		if pattern, found := strings.CutPrefix(want, "~"); found {
			return ok && regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(got)
		}
		return ok && got == want
	default:
		return got == want
	}
}
