package fakeserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// The codes with which the relay closes connections.
const (
	closeGoingAway       = websocket.StatusGoingAway       // the server is stopping
	closePolicyViolation = websocket.StatusPolicyViolation // an invalid frame; the key was revoked; the machine was forgotten
	closeReplaced        = websocket.StatusCode(4000)      // the same machine connected again
)

// maxFrame is how large a frame from an agent may be.
const maxFrame = 64 << 10

// closeFrameWithin is how long a peer may take to answer a close frame before
// its connection is cut.
const closeFrameWithin = closeWithin

var uuidPattern = regexp.MustCompile(`^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// session is a relay connection.
type session struct {
	Session // guarded by the server's lock
	conn    *websocket.Conn
	raw     net.Conn // what conn runs over
}

// hello is what an agent presents in its handshake.
type hello struct {
	agentID, machineUID, hostname, key string
	auth                               string // "query" or "header"
}

func parseHello(r *http.Request) (hello, error) {
	if r.ContentLength != 0 {
		return hello{}, errors.New("the request has a body")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return hello{}, errors.New("the query is malformed")
	}
	h := hello{auth: "query"}
	known := map[string]*string{"agent_id": &h.agentID, "machine_uid": &h.machineUID, "hostname": &h.hostname, "api_key": &h.key}
	if authorization := r.Header.Values("Authorization"); len(authorization) > 0 {
		bearer, ok := strings.CutPrefix(authorization[0], "Bearer ")
		if len(authorization) > 1 || !ok || bearer == "" {
			return h, errors.New("the Authorization header is not Bearer and a key")
		}
		if query.Has("api_key") {
			return h, errors.New("the key is both in api_key and in the Authorization header")
		}
		h.auth, h.key = "header", bearer
		delete(known, "api_key")
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if values := query[name]; len(values) != 1 || values[0] == "" {
			return h, fmt.Errorf("%s is not there exactly once with a value", name)
		}
		*known[name] = query.Get(name)
		query.Del(name)
	}
	if left := slices.Sorted(maps.Keys(query)); len(left) > 0 {
		return h, fmt.Errorf("%.40q is not a known parameter", left[0])
	}
	if !uuidPattern.MatchString(h.agentID) {
		return h, errors.New("agent_id is not a UUID")
	}
	if !machineUIDPattern.MatchString(h.machineUID) {
		return h, errors.New("machine_uid is not muid_ and 64 hex digits in lower case")
	}
	return h, nil
}

// admit decides whether a machine may connect.
func (s *Server) admit(h hello) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.LegacyKey != "" && hashKey(0, s.LegacyKey).matches(h.key) {
		return nil
	}
	m := s.machines[h.machineUID]
	switch {
	case m == nil:
		return &refusal{status: http.StatusUnauthorized, reason: "this machine is not enrolled", code: "UNKNOWN_AGENT"}
	case !m.key.matches(h.key):
		return &refusal{status: http.StatusUnauthorized, reason: "wrong API key"}
	case m.revoked:
		return &refusal{status: http.StatusUnauthorized, reason: "this API key was revoked", code: "CREDENTIAL_REVOKED"}
	}
	return nil
}

func (s *Server) serveRelay(w http.ResponseWriter, r *http.Request) {
	h, err := parseHello(r)
	if err != nil {
		writeRefusal(w, badRequest(err.Error()))
		return
	}
	if no := s.admit(h); no != nil {
		writeRefusal(w, no)
		return
	}
	a := w.(*answer) // ServeHTTP passes one
	x := &session{Session: Session{
		MachineUID: h.machineUID,
		AgentID:    h.agentID,
		Hostname:   h.hostname,
		Auth:       h.auth,
		Since:      s.now().UTC(),
		Connection: a.entry.Connection,
	}}
	x.conn, err = websocket.Accept(w, r, &websocket.AcceptOptions{
		OnPingReceived: func(context.Context, []byte) bool {
			s.amend(func() { x.Pings++ })
			return !s.MutePongs.Load()
		},
	})
	if err != nil {
		return // Accept has answered
	}
	x.raw = a.conn
	if a.action.Drop == DropMidBody {
		x.cut()
		return
	}
	x.conn.SetReadLimit(maxFrame)
	s.begin(x)
	defer s.finish(x)
	if err := s.listen(r.Context(), x); err != nil {
		x.close(closePolicyViolation, err.Error())
	}
}

// begin makes x its machine's connection; an older one is closed.
func (s *Server) begin(x *session) {
	s.mu.Lock()
	defer s.unlock()
	s.sessionsLive++
	s.sessionsTotal++
	if older := s.sessions[x.MachineUID]; older != nil {
		older.end(closeReplaced, "the same machine connected again")
	}
	s.sessions[x.MachineUID] = x
	if m := s.machines[x.MachineUID]; m != nil {
		m.hostname = x.Hostname
	}
}

func (s *Server) finish(x *session) {
	x.cut()
	s.mu.Lock()
	defer s.unlock()
	if s.sessions[x.MachineUID] == x {
		delete(s.sessions, x.MachineUID)
	}
	if m := s.machines[x.MachineUID]; m != nil {
		m.lastSeen = s.now()
	}
	s.sessionsLive--
}

// listen reads frames. It returns nil when the connection ends, or an error that
// says why a frame is invalid.
func (s *Server) listen(ctx context.Context, x *session) error {
	for {
		kind, data, err := x.conn.Read(ctx)
		if err != nil {
			return nil
		}
		if kind != websocket.MessageText {
			return errors.New("a frame is not text")
		}
		status, err := parseStatus(data)
		if err == nil && status.MachineUID != x.MachineUID {
			err = errors.New("machine_uid is not that of the handshake")
		}
		if err != nil {
			return err
		}
		s.amend(func() {
			x.Frames++
			x.LastStatus = &status
		})
	}
}

// certificateStatuses are those of docs/SPEC.md, "Certificate", and whether they
// come with a date.
var certificateStatuses = map[string]bool{
	"valid":          true,
	"expiring_soon":  true,
	"missing":        false,
	"corrupt":        false,
	"not_yet_valid":  false,
	"expired":        false,
	"key_mismatch":   false,
	"untrusted":      false,
	"revoked":        false,
	"not_configured": false,
}

// parseStatus reads an agent_status frame.
func parseStatus(data []byte) (AgentStatus, error) {
	o, err := parseObject(data)
	if err != nil {
		return AgentStatus{}, err
	}
	kind := o.text("type")
	status := AgentStatus{
		MachineUID:    o.text("machine_uid"),
		Hostname:      o.text("hostname"),
		Version:       o.text("version"),
		UptimeSeconds: o.count("uptime_seconds"),
	}
	certificate := o.inner("certificate")
	status.Certificate.Status = certificate.text("status")
	dated, known := certificateStatuses[status.Certificate.Status]
	if certificate.null("not_after") {
		certificate.require(!dated, "not_after", "is null although there is a certificate")
	} else {
		notAfter, err := time.Parse(time.RFC3339, certificate.text("not_after"))
		certificate.require(err == nil, "not_after", "is neither an RFC 3339 time nor null")
		status.Certificate.NotAfter = &notAfter
	}
	certificate.require(known, "status", "is not a known status")
	if err := certificate.end(); err != nil {
		return status, err
	}
	o.require(kind == "agent_status", "type", "is not agent_status")
	o.require(status.Hostname != "", "hostname", "is empty")
	o.require(status.Version != "", "version", "is empty")
	return status, o.end()
}

// cut ends the connection without a close frame.
func (x *session) cut() {
	// Whatever the state of the connection was, it is closed now.
	_ = x.raw.Close()
}

// close sends a close frame, waits a while for the peer's, and cuts.
func (x *session) close(code websocket.StatusCode, reason string) {
	timer := time.AfterFunc(closeFrameWithin, x.cut)
	defer timer.Stop()
	const most = 123 // RFC 6455, 5.5: a control frame holds 125 bytes, the code takes 2
	// A peer that does not answer is cut off all the same.
	_ = x.conn.Close(code, reason[:min(len(reason), most)])
}

// end is close without waiting.
func (x *session) end(code websocket.StatusCode, reason string) { go x.close(code, reason) }

// connected returns the relay connection of a machine.
func (s *Server) connected(machineUID string) (*session, error) {
	s.ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[machineUID]
	if x == nil {
		return nil, fmt.Errorf("relay connection of %q: %w", redact(machineUID), ErrNotFound)
	}
	return x, nil
}

// RelaySend sends a text frame to a machine. It is sent as it is: whether it
// is valid is the caller's business.
func (s *Server) RelaySend(ctx context.Context, machineUID string, frame []byte) error {
	x, err := s.connected(machineUID)
	if err != nil {
		return err
	}
	return x.conn.Write(ctx, websocket.MessageText, frame)
}

// RelayClose cuts a machine's relay connection without a close frame.
func (s *Server) RelayClose(machineUID string) error {
	x, err := s.connected(machineUID)
	if err != nil {
		return err
	}
	x.cut()
	return nil
}
