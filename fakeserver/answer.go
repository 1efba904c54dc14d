package fakeserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody is how many bytes the body of a request may have; more is a 413.
const maxBody = 64 << 10

func isControl(path string) bool { return path == "/_fake" || strings.HasPrefix(path, "/_fake/") }

// ServeHTTP records a request, takes the fault that it meets, if any, and
// answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.setup(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if isControl(r.URL.Path) {
		s.router.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	entry := s.record(r, body)
	if err != nil {
		s.amend(func() { entry.Dropped = true })
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))

	a := &answer{w: w, server: s, entry: entry}
	a.action, a.faulty = s.takeFault(r.Method, r.URL.Path)
	a.serve(r)
}

// answer is the answer to one request. It holds back what the handlers write
// until a fault has changed it.
type answer struct {
	w      http.ResponseWriter
	server *Server
	entry  *Request
	action FaultAction
	faulty bool

	status int
	body   bytes.Buffer
	direct bool     // nothing is held back
	conn   net.Conn // the connection, once it was hijacked
}

func (a *answer) serve(r *http.Request) {
	if a.faulty {
		a.server.amend(func() { a.entry.Fault = true })
	}
	if a.action.Delay > 0 {
		timer := time.NewTimer(a.action.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			a.drop()
		}
	}
	if a.action.Drop == DropBeforeResponse {
		a.drop()
	}
	switch {
	case a.action.Handler != nil:
		a.direct = true
		a.action.Handler.ServeHTTP(a, r)
		return
	case a.action.Status != 0:
		a.status = a.action.Status
		a.Header().Set("Content-Type", "application/json")
		a.body.WriteString(a.action.Body)
	default:
		a.server.router.ServeHTTP(a, r)
		if a.conn != nil {
			return
		}
		if a.action.Body != "" {
			a.body.Reset()
			a.body.WriteString(a.action.Body)
		}
	}
	if a.action.Drop == DropAfterCommit {
		a.drop()
	}
	a.send()
}

// send writes the answer that was held back.
func (a *answer) send() {
	body := a.body.Bytes()
	if a.action.Corrupt {
		for i := 0; i < len(body); i += 8 {
			body[i] ^= 0x80
		}
	}
	announced := len(body)
	if a.action.Drop == DropMidBody {
		announced = max(announced, 1)
		body = body[:len(body)/2]
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		a.Header().Set("Content-Length", strconv.Itoa(announced))
	}
	a.writeHeader(orDefault(a.status, http.StatusOK))
	// An error means that the client has gone.
	_, _ = a.w.Write(body)
	if a.action.Drop == DropMidBody {
		_ = http.NewResponseController(a.w).Flush()
		a.drop()
	}
}

// drop cuts the connection. It does not return.
func (a *answer) drop() {
	a.server.amend(func() { a.entry.Dropped = true })
	panic(http.ErrAbortHandler)
}

func (a *answer) writeHeader(status int) {
	for name, value := range a.action.Headers {
		a.Header().Set(name, value)
	}
	a.server.amend(func() { a.entry.Status = status })
	a.w.WriteHeader(status)
}

// Header returns the header to be sent.
func (a *answer) Header() http.Header { return a.w.Header() }

// WriteHeader keeps the status. A 101 it sends at once, since another protocol
// follows on the connection.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	switch {
	case status == http.StatusSwitchingProtocols && a.action.Drop == DropAfterCommit:
		a.drop()
	case status == http.StatusSwitchingProtocols:
		if a.action.Corrupt {
			a.Header().Set("Sec-WebSocket-Accept", "corrupt")
		}
		a.writeHeader(status)
	case a.direct:
		a.writeHeader(status)
	}
}

func (a *answer) Write(data []byte) (int, error) {
	if !a.direct {
		return a.body.Write(data)
	}
	a.WriteHeader(http.StatusOK)
	return a.w.Write(data)
}

// Hijack gives the connection to the WebSocket library.
func (a *answer) Hijack() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	conn, rw, err = http.NewResponseController(a.w).Hijack()
	a.conn = conn
	return conn, rw, err
}

// Unwrap lets an http.ResponseController flush for a FaultAction.Handler.
func (a *answer) Unwrap() http.ResponseWriter { return a.w }

// refusal is an answer that says no.
type refusal struct {
	status     int
	reason     string
	code       string        // for programs; empty for none
	retryAfter time.Duration // zero for none
}

func badRequest(reason string) *refusal {
	return &refusal{status: http.StatusBadRequest, reason: reason}
}

func writeRefusal(w http.ResponseWriter, no *refusal) {
	if no.retryAfter > 0 {
		seconds := (no.retryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	writeJSON(w, no.status, struct {
		Error string `json:"error"`
		Code  string `json:"code,omitempty"`
	}{no.reason, no.code})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	// The values are the fake's own and encode: an error means that the client
	// has gone.
	_ = e.Encode(value)
}

// readObject reads the body of a request as a JSON object.
func readObject(r *http.Request) (*object, *refusal) {
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" || !strings.EqualFold(orDefault(parameters["charset"], "utf-8"), "utf-8") {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, reason: "the Content-Type is not application/json"}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badRequest("the body cannot be read")
	}
	if len(body) > maxBody {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, reason: "the body has more than 64 KiB"}
	}
	if r.URL.RawQuery != "" {
		return nil, badRequest("the URL has a query")
	}
	o, err := parseObject(body)
	if err != nil {
		return nil, badRequest(err.Error())
	}
	return o, nil
}

// checkBare refuses a GET with a body or a query.
func checkBare(r *http.Request) error {
	if r.ContentLength != 0 {
		return errors.New("the request has a body")
	}
	if r.URL.RawQuery != "" {
		return errors.New("the URL has a query")
	}
	return nil
}
