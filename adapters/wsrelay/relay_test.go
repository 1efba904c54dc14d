package wsrelay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/muster-agent/muster/adapters/internal/httpanswer/servertest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

const userAgent = "muster/1.2.3 (linux; amd64)"

func TestContract(t *testing.T) {
	t.Parallel()
	for _, authHeader := range []bool{false, true} {
		t.Run(fmt.Sprintf("authHeader=%t", authHeader), func(t *testing.T) {
			t.Parallel()
			contracttest.RelayDialer(t, func(t *testing.T, script contracttest.RelayScript) contracttest.RelayServer {
				r := newRelay(t, script)
				return contracttest.RelayServer{Dialer: r.dialer(authHeader), Hellos: r.greeted.All, Peer: r.peer}
			})
		})
	}
}

// relay is a strict relay over TLS.
type relay struct {
	t       *testing.T
	script  contracttest.RelayScript
	server  *httptest.Server
	over    chan struct{}
	peers   chan *peer
	greeted servertest.Seen[ports.RelayHello]
}

func newRelay(t *testing.T, script contracttest.RelayScript) *relay {
	r := &relay{t: t, script: script, over: make(chan struct{}), peers: make(chan *peer, 1)}
	r.server = httptest.NewUnstartedServer(r)
	r.server.Listener = stallingListener{r.server.Listener}
	r.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c.(interface{ NetConn() net.Conn }).NetConn())
	}
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	t.Cleanup(func() { close(r.over) })
	return r
}

type connKey struct{}

func (r *relay) dialer(authHeader bool) *Dialer {
	server, err := url.Parse(r.server.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	// A description that hides nothing: the dialer may not rely on a better one.
	return New(Endpoint(server, nil), authHeader, r.server.Client().Transport, userAgent, error.Error)
}

func (r *relay) peer() contracttest.RelayPeer { return <-r.peers }

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.greet(req)
	w.Header()["Date"] = nil
	if !r.script.Date.IsZero() {
		w.Header().Set("Date", r.script.Date.Format(http.TimeFormat))
	}
	if r.script.Busy == nil {
		w.Header().Set("Retry-After", "99") // ignored wherever it means nothing
	} else if r.script.Busy.RetryAfter != "" {
		w.Header().Set("Retry-After", r.script.Busy.RetryAfter)
	}
	switch {
	case r.script.Busy != nil:
		http.Error(w, "cak_contract", r.script.Busy.Status)
		return
	case r.script.Refuse != nil:
		w.WriteHeader(r.script.Refuse.Status)
		if r.script.Refuse.Code != "" {
			_, _ = fmt.Fprintf(w, `{"code":%q,"error":"cak_contract"}`, r.script.Refuse.Code)
		}
		return
	case r.script.Unavailable:
		http.Error(w, "cak_contract", http.StatusInternalServerError)
		return
	case r.script.Hang:
		<-r.over
		return
	}
	ws, err := websocket.Accept(w, req, nil)
	if err != nil {
		r.t.Error(err)
		return
	}
	p := &peer{t: r.t, ws: ws, conn: req.Context().Value(connKey{}).(*stallingConn)}
	r.peers <- p
	p.read()
}

// greet checks the request and keeps what it presents.
func (r *relay) greet(req *http.Request) {
	query := req.URL.Query()
	want := []string{"agent_id", "api_key", "hostname", "machine_uid"}
	key := query.Get("api_key")
	if bearer, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok {
		key = bearer
		want = slices.Delete(want, 1, 2)
	}
	if got := slices.Sorted(maps.Keys(query)); !slices.Equal(got, want) {
		r.t.Errorf("parameters %q, want %q", got, want)
	}
	if req.URL.Path != "/ws/agent" || req.Header.Get("User-Agent") != userAgent || req.Header.Get("Sec-WebSocket-Extensions") != "" {
		r.t.Errorf("%s with %q", req.URL.Path, req.Header)
	}
	r.greeted.Add(ports.RelayHello{
		AgentID: query.Get("agent_id"), MachineUID: query.Get("machine_uid"), Hostname: query.Get("hostname"), Key: ports.NewSecret(key),
	})
}

// peer implements contracttest.RelayPeer.
type peer struct {
	t    *testing.T
	ws   *websocket.Conn
	conn *stallingConn

	mu     sync.Mutex
	sent   []ports.AgentStatus
	closed error
}

func (p *peer) read() {
	for {
		kind, data, err := p.ws.Read(context.Background())
		p.mu.Lock()
		if err != nil {
			p.closed = err
			p.mu.Unlock()
			return
		}
		if kind != websocket.MessageText {
			p.t.Errorf("a frame of kind %v", kind)
		}
		p.sent = append(p.sent, strictStatus(p.t, data))
		p.mu.Unlock()
	}
}

// strictStatus accepts what docs/PROTOCOLS.md, "Frames", prescribes and nothing
// else.
func strictStatus(t *testing.T, data []byte) ports.AgentStatus {
	var frame, certificate map[string]json.RawMessage
	servertest.Decode(t, data, &frame)
	servertest.Decode(t, frame["certificate"], &certificate)
	if got := fmt.Sprint(slices.Sorted(maps.Keys(frame)), slices.Sorted(maps.Keys(certificate))); got !=
		"[certificate hostname machine_uid type uptime_seconds version] [not_after status]" {
		t.Errorf("keys %s", got)
	}
	if string(frame["type"]) != `"agent_status"` {
		t.Errorf("type %s", frame["type"])
	}
	var s ports.AgentStatus
	var seconds int64
	servertest.Decode(t, frame["machine_uid"], &s.MachineUID)
	servertest.Decode(t, frame["hostname"], &s.Hostname)
	servertest.Decode(t, frame["version"], &s.Version)
	servertest.Decode(t, frame["uptime_seconds"], &seconds)
	servertest.Decode(t, certificate["status"], &s.Certificate.Status)
	if text := string(certificate["not_after"]); text != "null" {
		at, err := time.Parse(`"`+time.RFC3339+`"`, text)
		if err != nil {
			t.Error(err)
		}
		s.Certificate.NotAfter = at
	}
	s.Uptime = time.Duration(seconds) * time.Second
	return s
}

func (p *peer) Push(frame ports.RelayFrame) {
	data, _ := json.Marshal(map[string]any{"type": frame.Type, "unknown": 1}) // a map of strings and numbers
	p.push(websocket.MessageText, data)
}

func (p *peer) push(kind websocket.MessageType, data []byte) {
	if err := p.ws.Write(p.t.Context(), kind, data); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) Drop() { _ = p.conn.Conn.Close() } // below TLS and WebSocket, as a network does

func (p *peer) Stall() { p.conn.stall() }

func (p *peer) Sent() []ports.AgentStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}

func (p *peer) ClosedNormally() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return websocket.CloseStatus(p.closed) == websocket.StatusNormalClosure
}

// stallingListener gives connections that can be made to hear nothing.
type stallingListener struct{ net.Listener }

func (l stallingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &stallingConn{Conn: c, stalled: make(chan struct{}), closed: make(chan struct{})}, nil
}

type stallingConn struct {
	net.Conn
	stalled, closed    chan struct{}
	stallOnce, onClose sync.Once
}

func (c *stallingConn) stall() { c.stallOnce.Do(func() { close(c.stalled) }) }

func (c *stallingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.stalled:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *stallingConn) Close() error {
	c.onClose.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
