package fakeserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxRequests is how many requests are remembered, so that a fake that runs
// for weeks does not grow without end.
const maxRequests = 100_000

// Request is a request that the server got, without its secrets.
type Request struct {
	// Time is when it was read.
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	// Path is without the query; a polling token in it reads "{token}".
	Path  string `json:"path"`
	Query string `json:"query,omitempty"`
	// Status is the status that was sent; zero while there is none yet, and
	// if the connection was cut before one.
	Status int `json:"status"`
	// Dropped says that the connection was cut before the answer was whole.
	Dropped bool `json:"dropped,omitempty"`
	// Fault says that it met a fault.
	Fault bool `json:"fault,omitempty"`
	// Connection numbers the TCP connections from 1; zero without Start.
	Connection int    `json:"connection"`
	RemoteAddr string `json:"remote_addr"`
	UserAgent  string `json:"user_agent,omitempty"`
	// Body is the body if that was a JSON object, else a JSON string that
	// describes it; nil if there was none.
	Body json.RawMessage `json:"body,omitempty"`
}

// Requests are the requests that the server got, oldest first, at most the
// newest 100,000; those below /_fake/ are not among them.
func (s *Server) Requests() []Request {
	s.ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Request, len(s.requests))
	for i, r := range s.requests {
		list[i] = *r
	}
	return list
}

func (s *Server) record(r *http.Request, body []byte) *Request {
	entry := &Request{
		Time:       s.now().UTC(),
		Method:     r.Method,
		Path:       redactPath(r.URL.Path),
		Query:      redactQuery(r.URL.RawQuery),
		Connection: connectionNumber(r.Context()),
		RemoteAddr: r.RemoteAddr,
		UserAgent:  redact(r.UserAgent()),
		Body:       redactBody(body),
	}
	s.mu.Lock()
	defer s.unlock()
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, maxRequests/10)
	}
	s.requests = append(s.requests, entry)
	return entry
}

// amend changes an entry of the history, or whatever else the lock guards.
func (s *Server) amend(change func()) {
	s.mu.Lock()
	defer s.unlock()
	change()
}

func redactPath(path string) string {
	const before = "/enroll/status/"
	if i := strings.Index(path, before); i >= 0 {
		return redact(path[:i]) + before + "{token}"
	}
	return redact(path)
}

func redactQuery(raw string) string {
	if raw == "" {
		return ""
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return "(malformed)"
	}
	clean := make(url.Values)
	for name, values := range query {
		for _, value := range values {
			if secretMembers[name] {
				value = redacted
			}
			clean.Add(redact(name), redact(value))
		}
	}
	return clean.Encode()
}

// secretMembers are the members of messages, and the parameter of the
// relay's query, whose values are never shown.
var secretMembers = map[string]bool{
	"enrollment_key": true,
	"api_key":        true,
	"key":            true,
	"polling_token":  true,
	"server_key":     true,
}

func redactBody(body []byte) json.RawMessage {
	if len(body) == 0 {
		return nil
	}
	if len(body) > maxBody {
		return quoted("more than 64 KiB")
	}
	var value map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&value); err != nil || value == nil || d.More() {
		return quoted(fmt.Sprintf("%d bytes that are no JSON object", len(body)))
	}
	return encode(redactValue(value))
}

func redactValue(value any) any {
	switch v := value.(type) {
	case string:
		return redact(v)
	case []any:
		for i := range v {
			v[i] = redactValue(v[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for name, inner := range v {
			if secretMembers[name] {
				inner = redacted
			}
			clean[redact(name)] = redactValue(inner)
		}
		return clean
	}
	return value
}

func quoted(text string) json.RawMessage { return encode("(" + text + ")") }

// encode returns JSON without the escapes that are for HTML.
func encode(value any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return json.RawMessage(`"(cannot be shown)"`)
	}
	return bytes.TrimSpace(b.Bytes())
}

type connectionKey struct{}

// countConnection is an http.Server's ConnContext.
func (s *Server) countConnection(ctx context.Context, _ net.Conn) context.Context {
	s.mu.Lock()
	defer s.unlock()
	s.connections++
	return context.WithValue(ctx, connectionKey{}, s.connections)
}

func connectionNumber(ctx context.Context) int {
	n, _ := ctx.Value(connectionKey{}).(int)
	return n
}

// clientAddress is the address that limits count by.
func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
