// Package wsrelay connects to the relay over a WebSocket: GET /ws/agent,
// docs/PROTOCOLS.md, "Relay".
package wsrelay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"github.com/muster-agent/muster/adapters/internal/httpanswer"
	"github.com/muster-agent/muster/ports"
)

const (
	// handshakeTimeout is the limit of a whole request (docs/PROTOCOLS.md,
	// "Rules for every request").
	handshakeTimeout = 30 * time.Second
	// maxRefusal is how much of a refused handshake's body is read: room for
	// {"code":…} and some words beside it.
	maxRefusal = 4 << 10
	// maxFrame is the largest frame that a relay may send (docs/PROTOCOLS.md,
	// "Frames").
	maxFrame = 64 << 10
)

// Dialer implements ports.RelayDialer for one relay.
type Dialer struct {
	endpoint   *url.URL
	authHeader bool
	transport  http.RoundTripper
	userAgent  string
	describe   func(error) string
	timeout    time.Duration
}

var _ ports.RelayDialer = (*Dialer)(nil)

// New returns a dialer of the relay at endpoint, which Endpoint has made. With
// authHeader the key rides in the Authorization header, else in the query.
// describe puts an error of the transport into a sentence part without
// secrets.
func New(endpoint *url.URL, authHeader bool, transport http.RoundTripper, userAgent string, describe func(error) string) *Dialer {
	return &Dialer{endpoint, authHeader, transport, userAgent, describe, handshakeTimeout}
}

// Dial implements ports.RelayDialer.
func (d *Dialer) Dial(ctx context.Context, hello ports.RelayHello) (ports.RelayConn, error) {
	limited, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel() // an upgraded connection is bound to no context

	u, header := d.request(hello)
	shake := &handshake{transport: d.transport}
	ws, _, err := websocket.Dial(limited, u, &websocket.DialOptions{
		HTTPClient:      &http.Client{Transport: shake},
		HTTPHeader:      header,
		CompressionMode: websocket.CompressionDisabled,
	})
	if refused, ok := errors.AsType[*ports.RelayRefusedError](shake.refusal); ok {
		return nil, refused
	}
	failures := failures{"connecting to the relay at " + d.endpoint.Host, hello.Key, d.describe}
	busy, isBusy := errors.AsType[*ports.RelayBusyError](shake.refusal)
	switch {
	case isBusy:
		return nil, fmt.Errorf("%s: %w", failures.doing, busy)
	case shake.refusal != nil:
		return nil, failures.fail(ctx, shake.refusal.Error())
	case err != nil:
		return nil, failures.failed(ctx, err)
	case !shake.keep():
		_ = ws.CloseNow() // it is closed already
		return nil, failures.failed(ctx, limited.Err())
	}
	ws.SetReadLimit(maxFrame)
	failures.doing = "the relay's connection to " + d.endpoint.Host
	return &Conn{ws: ws, raw: shake.conn, serverTime: shake.serverTime, failures: failures}, nil
}

// request is the URL and the header that present the agent.
func (d *Dialer) request(hello ports.RelayHello) (string, http.Header) {
	header := http.Header{"User-Agent": {d.userAgent}}
	query := d.endpoint.Query()
	query.Set("agent_id", hello.AgentID)
	query.Set("machine_uid", hello.MachineUID)
	query.Set("hostname", hello.Hostname)
	if d.authHeader {
		header.Set("Authorization", "Bearer "+hello.Key.Reveal())
	} else {
		query.Set("api_key", hello.Key.Reveal())
	}
	u := *d.endpoint
	u.RawQuery = query.Encode()
	return u.String(), header
}

// handshake is the transport of one handshake. It keeps what the WebSocket
// library does not pass on, and turns every answer but an upgrade into an
// error, so that there is no redirect to follow either.
type handshake struct {
	transport  http.RoundTripper
	refusal    error
	serverTime time.Time
	conn       io.Closer
	keep       func() bool // keeps conn open when the request's context ends
}

func (h *handshake) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	h.serverTime = httpanswer.ServerTime(resp)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		h.refusal = h.refused(resp)
		_ = resp.Body.Close() // what matters of it has been read
		return nil, h.refusal
	}
	conn := resp.Body // the library takes it out of resp
	h.conn = conn
	// The library waits up to 3 s for more of an upgrade that it does not
	// accept, whatever the context.
	h.keep = context.AfterFunc(req.Context(), func() { _ = conn.Close() })
	return resp, nil
}

func (h *handshake) refused(resp *http.Response) error {
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &ports.RelayRefusedError{Status: status, Code: refusalCode(resp.Body), ServerTime: h.serverTime}
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return &ports.RelayBusyError{Status: status, RetryAfter: httpanswer.RetryAfter(resp), ServerTime: h.serverTime}
	case status >= 300 && status < 400:
		return fmt.Errorf("it answered %d, a redirect, which is not followed: set MUSTER_RELAY_URL to where the relay is", status)
	case status == http.StatusNotFound:
		return errors.New("it answered 404 Not Found: there is no relay at this path; check MUSTER_RELAY_URL or MUSTER_SERVER_URL")
	default:
		return errors.New(httpanswer.Answered(status))
	}
}

// refusalCode is the code that a refusal's body may hold, "" if it holds none
// that is known.
func refusalCode(body io.Reader) string {
	data, err := io.ReadAll(io.LimitReader(body, maxRefusal))
	if err != nil {
		return ""
	}
	var fields map[string]json.RawMessage
	var code string
	if json.Unmarshal(data, &fields) != nil || json.Unmarshal(fields["code"], &code) != nil {
		return ""
	}
	switch code {
	case ports.RefusedUnknownAgent, ports.RefusedCredentialRevoked:
		return code
	}
	return ""
}
