package wsrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/httpanswer/servertest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

const canary = "cak_Canary+/=Q7x2Mp9Lr4Tz8Vb3"

var hello = ports.RelayHello{AgentID: "id", MachineUID: "muid_1", Hostname: "desk-17", Key: ports.NewSecret(canary)}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ server, relay, want string }{
		{"https://host", "", "wss://host/ws/agent"},
		{"https://host/", "", "wss://host/ws/agent"},
		{"https://host:8443/muster/?q=1#f", "", "wss://host:8443/muster/ws/agent"},
		{"http://127.0.0.1:8080", "", "ws://127.0.0.1:8080/ws/agent"},
		{"https://host", "wss://relay", "wss://relay/ws/agent"},
		{"https://host", "https://relay:1", "wss://relay:1/ws/agent"},
		{"https://host", "https://relay/connect?tenant=7", "wss://relay/connect?tenant=7"},
		{"https://host", "wss://relay/", "wss://relay/"},
		{"https://host", "http://localhost/x", "ws://localhost/x"},
		{"https://host", "ws://localhost?a=b", "ws://localhost/ws/agent?a=b"},
		{"", "wss://relay/x", "wss://relay/x"},
	} {
		is := is.New(t)
		var server, relay *url.URL
		var err error
		if tt.server != "" {
			server, err = url.Parse(tt.server)
			is.NoErr(err)
		}
		if tt.relay != "" {
			relay, err = url.Parse(tt.relay)
			is.NoErr(err)
		}
		if got := Endpoint(server, relay).String(); got != tt.want {
			t.Errorf("%q, %q: got %s, want %s", tt.server, tt.relay, got, tt.want)
		}
		if relay != nil {
			is.Equal(relay.String(), tt.relay) // the caller's URL is not changed
		}
	}
}

// answering is a dialer of a server with that handler.
func answering(t *testing.T, handler http.HandlerFunc) *Dialer {
	t.Helper()
	server := servertest.Serve(t, handler)
	base, err := url.Parse(server.URL)
	is.New(t).NoErr(err)
	return New(Endpoint(base, nil), false, server.Client().Transport, userAgent, error.Error)
}

// failedDial dials and wants an error without secrets.
func failedDial(t *testing.T, d *Dialer) error {
	t.Helper()
	_, err := d.Dial(t.Context(), hello)
	if err == nil {
		t.Fatal("no error")
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	servertest.NoPartOf(t, text, canary, url.QueryEscape(canary))
	if strings.Contains(text, "api_key") || strings.Contains(text, "muid_1") {
		t.Errorf("a part of the query in %s", text)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		t.Errorf("a URL in %#v", err)
	}
	return err
}

func TestRefusedHandshake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status     int
		body, want string
	}{
		{403, `{"error":"x","code":"CREDENTIAL_REVOKED","more":[{}]}`, ports.RefusedCredentialRevoked},
		{401, `{"code":"UNKNOWN_AGENT","error":"` + strings.Repeat("x", 3000) + `"}`, ports.RefusedUnknownAgent},
		{401, `{"code":"UNKNOWN_AGENT","error":"` + strings.Repeat("x", 4096) + `"}`, ""},
		{401, `{"code":"` + canary + `"}`, ""},
		{401, `{"Code":"UNKNOWN_AGENT"}`, ""},
		{401, `["UNKNOWN_AGENT"]`, ""},
		{401, `UNKNOWN_AGENT`, ""},
		{403, ``, ""},
	} {
		t.Run(tt.body[:min(len(tt.body), 30)], func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			err := failedDial(t, answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			refused, ok := errors.AsType[*ports.RelayRefusedError](err)
			is.True(ok)
			is.Equal(*refused, ports.RelayRefusedError{Status: tt.status, Code: tt.want, ServerTime: time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)})
		})
	}
}

func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 204, 301, 307, 308, 400, 404, 407, 429, 500, 503} {
		is := is.New(t)
		err := failedDial(t, answering(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/ws/agent" {
				t.Errorf("a redirect was followed to %s", r.URL.Path)
			}
			w.Header().Set("Location", "/elsewhere?"+r.URL.RawQuery)
			w.Header().Set("Retry-After", r.URL.RawQuery)
			w.WriteHeader(status)
			if status != 204 {
				_, _ = io.WriteString(w, r.URL.String())
			}
		}))
		is.True(!errors.Is(err, ports.ErrRelayRefused))
		is.True(strings.HasPrefix(err.Error(), "connecting to the relay at 127.0.0.1:"))
		is.True(strings.Contains(err.Error(), fmt.Sprintf("it answered %d", status)))
		_, busy := errors.AsType[*ports.RelayBusyError](err)
		is.Equal(busy, status == 429 || status == 503)
	}
}

// Servers that speak HTTP, but no WebSocket or none that we asked for.
func TestBadUpgrades(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"no upgrade":    {"Connection": {"close " + canary}},
		"wrong accept":  {"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-WebSocket-Accept": {canary}},
		"wrong upgrade": {"Connection": {"Upgrade"}, "Upgrade": {canary}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := answering(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range header {
					w.Header()[k] = v
				}
				w.WriteHeader(http.StatusSwitchingProtocols)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			d.timeout = 200 * time.Millisecond
			start := time.Now()
			failedDial(t, d)
			is.New(t).True(time.Since(start) < 20*time.Second) // the limit holds here too
		})
	}
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 401} {
		is := is.New(t)
		d := answering(t, func(w http.ResponseWriter, r *http.Request) {
			if status != 0 {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "{")
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		})
		is.Equal(d.timeout, 30*time.Second)
		var err error
		for d.timeout = time.Second; d.timeout < time.Minute; d.timeout *= 2 { // room for the TLS handshake, on a busy machine too
			if err = failedDial(t, d); status == 0 || errors.Is(err, ports.ErrRelayRefused) {
				break
			}
		}
		is.Equal(errors.Is(err, ports.ErrRelayRefused), status == 401)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	base, err := url.Parse(server.URL)
	is.New(t).NoErr(err)
	server.Close()
	failedDial(t, New(Endpoint(base, nil), false, http.DefaultTransport, userAgent, error.Error))
}

// A connection outlives its handshake's time limit.
func TestConnectionOutlivesTheTimeout(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := newRelay(t, contracttest.RelayScript{})
	d := r.dialer(false)
	d.timeout = 4 * time.Second // which a busy machine may need for the handshake
	conn, err := d.Dial(t.Context(), hello)
	is.NoErr(err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*d.timeout)
	defer cancel()
	p := r.peer()
	<-ctx.Done()
	p.Push(ports.RelayFrame{Type: ports.FrameReenroll})
	frame, err := conn.Receive(t.Context())
	is.NoErr(err)
	is.Equal(frame.Type, ports.FrameReenroll)
	is.NoErr(conn.Close(t.Context()))
}

func TestFrames(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := newRelay(t, contracttest.RelayScript{})
	conn, err := r.dialer(false).Dial(t.Context(), hello)
	is.NoErr(err)
	p := (<-r.peers)
	for text, want := range map[string]string{
		`{"type":"reenroll"}`:                        "reenroll",
		` {"more":{"type":"x"}, "type":"two.parts"}`: "two.parts",
		`{"type":"camelCase"}`:                       "", // the relay's names are in lower case
		`{"Type":"reenroll"}`:                        "",
		`{"type":7}`:                                 "",
		`{"type":null}`:                              "",
		`{}`:                                         "",
		`"reenroll"`:                                 "",
		`[{"type":"reenroll"}]`:                      "",
		`{"type":"reenroll"} {}`:                     "",
		`not JSON`:                                   "",
		``:                                           "",
		`{"type":"two\nlines"}`:                      "",
		`{"type":"` + strings.Repeat("x", 65) + `"}`:                     "",
		`{"type":"` + canary + `"}`:                                      "",
		`{"type":"x","fill":"` + strings.Repeat("x", maxFrame-22) + `"}`: "x",
	} {
		p.push(websocket.MessageText, []byte(text))
		frame, err := conn.Receive(t.Context())
		is.NoErr(err)
		is.Equal(frame.Type, want)
	}
	p.push(websocket.MessageBinary, []byte(`{"type":"reenroll"}`))
	frame, err := conn.Receive(t.Context())
	is.NoErr(err)
	is.Equal(frame.Type, "")

	p.push(websocket.MessageText, []byte(`{"type":"x","fill":"`+strings.Repeat("x", maxFrame-21)+`"}`))
	_, err = conn.Receive(t.Context())
	is.True(err != nil)
	is.True(strings.Contains(err.Error(), "more than 64 KiB"))
	is.True(conn.Ping(t.Context()) != nil)
}

func TestClosedByTheRelay(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := newRelay(t, contracttest.RelayScript{})
	conn, err := r.dialer(false).Dial(t.Context(), hello)
	is.NoErr(err)
	p := <-r.peers
	go func() { _ = p.ws.Close(websocket.StatusPolicyViolation, canary) }()
	_, err = conn.Receive(t.Context())
	is.True(strings.HasSuffix(err.Error(), "the relay closed it (code 1008)"))
	is.True(conn.Send(t.Context(), ports.AgentStatus{}) != nil)
	is.NoErr(conn.Close(t.Context()))
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte(`{"type":"reenroll"}`))
	f.Add([]byte(`{"type":"` + canary + `"}`))
	f.Add([]byte("{\"type\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := decodeFrame(data).Type
		if len(name) > 64 || strings.ContainsAny(name, " \n\"\x1b") || strings.Contains(name, "cak_") {
			t.Errorf("%q", name)
		}
	})
}
