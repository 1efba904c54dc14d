package wsrelay_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/wsrelay"
	"github.com/muster-agent/muster/contracttest/golden"
	"github.com/muster-agent/muster/ports"
)

// The messages in testdata are written by hand, from docs/PROTOCOLS.md,
// "Relay".

var (
	// hello holds characters that change when they are put into a URL.
	hello = ports.RelayHello{
		AgentID:    "0b7e8a52-6a4f-4f0e-9b0c-0d8f3c1b2a34",
		MachineUID: "muid_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		Hostname:   "desk 17&co",
		Key:        ports.NewSecret("cak_9c41f2b8+6e0d75aa"),
	}
	status = ports.AgentStatus{
		MachineUID: hello.MachineUID,
		Hostname:   hello.Hostname,
		Version:    "1.2.3",
		Uptime:     time.Hour + time.Minute + 1999*time.Millisecond,
		Certificate: ports.RelayCertificate{
			Status:   ports.CertExpiringSoon,
			NotAfter: time.Date(2026, 3, 1, 13, 0, 0, 999, time.FixedZone("CET", 3600)),
		},
	}
	bare = ports.AgentStatus{
		MachineUID: hello.MachineUID, Hostname: hello.Hostname, Version: "1.2.3",
		Certificate: ports.RelayCertificate{Status: ports.CertNotConfigured},
	}
	moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func dialer(server string, authHeader bool, transport http.RoundTripper) *wsrelay.Dialer {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // a test gave it
	}
	return wsrelay.New(wsrelay.Endpoint(u, nil), authHeader, transport, "muster/1.2.3 (linux; amd64)", error.Error)
}

func TestGoldenHandshakes(t *testing.T) {
	t.Parallel()
	for name, authHeader := range map[string]bool{"hello": false, "hello-header": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			want := golden.Request(t, name)
			wire := &golden.Wire{T: t, Answer: "401-plain"}
			_, err := dialer("https://enroll.example.org", authHeader, wire).Dial(t.Context(), hello)
			is.True(err != nil)
			got := wire.Requests[0]
			is.Equal(got.Method, want.Method)
			is.Equal(got.URL.Host, want.Host)
			is.Equal(got.URL.Path, want.URL.Path)
			is.Equal(got.URL.Query(), want.URL.Query())
			is.True(got.Header.Get("Sec-WebSocket-Key") != "")
			got.Header.Del("Sec-WebSocket-Key") // another one each time
			is.Equal(got.Header, want.Header)
			is.True(got.Body == nil || got.Body == http.NoBody)
		})
	}
}

func TestGoldenRefusals(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{
		"401-plain":                &ports.RelayRefusedError{Status: 401, ServerTime: moment},
		"401-unknown-agent":        &ports.RelayRefusedError{Status: 401, Code: ports.RefusedUnknownAgent},
		"401-code-of-another-type": &ports.RelayRefusedError{Status: 401},
		"403-revoked":              &ports.RelayRefusedError{Status: 403, Code: ports.RefusedCredentialRevoked},
		"403-other-code":           &ports.RelayRefusedError{Status: 403},
		"404-no-relay":             nil, // transient
		"429-limited":              &ports.RelayBusyError{Status: 429, RetryAfter: "Sun, 01 Mar 2026 12:01:00 GMT", ServerTime: moment},
		"503-busy":                 &ports.RelayBusyError{Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			_, err := dialer("https://enroll.example.org", false, &golden.Wire{T: t, Answer: name}).Dial(t.Context(), hello)
			is.True(err != nil)
			var got error
			if refused, ok := errors.AsType[*ports.RelayRefusedError](err); ok {
				got = refused
			} else if busy, ok := errors.AsType[*ports.RelayBusyError](err); ok {
				got = busy
			}
			is.Equal(got, want)
		})
	}
}

func TestGoldenFrames(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	frames := []struct{ name, kind string }{
		{"frame-renew_certificates", ports.FrameRenewCertificates},
		{"frame-reenroll", ports.FrameReenroll},
		{"frame-unknown", "run_backup"},
		{"frame-no-type", ""},
		{"frame-type-of-another-type", ""},
		{"frame-no-object", ""},
	}
	came := make(chan []byte, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = ws.CloseNow() }() // the agent has said goodbye
		for _, f := range frames {
			if err := ws.Write(r.Context(), websocket.MessageText, read(t, f.name+".json")); err != nil {
				t.Error(err)
			}
		}
		for {
			kind, data, err := ws.Read(r.Context())
			if err != nil {
				return
			}
			if kind != websocket.MessageText {
				t.Errorf("a frame of kind %v", kind)
			}
			came <- data
		}
	}))
	defer server.Close()
	conn, err := dialer(server.URL, false, http.DefaultTransport).Dial(t.Context(), hello)
	is.NoErr(err)
	defer func() { _ = conn.Close(t.Context()) }() // nothing hangs on how it ends
	for _, f := range frames {
		got, err := conn.Receive(t.Context())
		is.NoErr(err)
		is.Equal(got, ports.RelayFrame{Type: f.kind}) // of the frame in testdata
	}
	for _, f := range []struct {
		name   string
		status ports.AgentStatus
	}{{"agent_status", status}, {"agent_status-no-certificate", bare}} {
		is.NoErr(conn.Send(t.Context(), f.status))
		data := <-came
		golden.SameJSON(t, data, read(t, f.name+".json"))
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Error(err)
	}
	return data
}
