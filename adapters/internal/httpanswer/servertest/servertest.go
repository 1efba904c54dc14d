// Package servertest plays a server, for the tests of its clients.
package servertest

import (
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Serve runs a server over TLS.
func Serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// Seen is what has come to a server.
type Seen[T any] struct {
	mu   sync.Mutex
	came []T
}

// Add notes one more.
func (s *Seen[T]) Add(one T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came = append(s.came, one)
}

// All is everything so far, oldest first.
func (s *Seen[T]) All() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.came)
}

// Canned is a transport with one answer.
type Canned struct {
	Status int
	Body   string
}

// RoundTrip implements http.RoundTripper.
func (c Canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close() // it is in memory
	}
	return &http.Response{
		StatusCode: c.Status, Header: http.Header{}, ContentLength: -1, Request: r,
		Body: io.NopCloser(strings.NewReader(c.Body)),
	}, r.Context().Err()
}

// LastWord is a transport whose caller is told to stop once the answer's body
// has been read to its end.
type LastWord struct {
	http.RoundTripper
	Length int64 // the answer's ContentLength
	Stop   func()
}

// RoundTrip implements http.RoundTripper.
func (l LastWord) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.ContentLength, resp.Body = l.Length, &stopping{resp.Body, l.Stop}
	}
	return resp, err
}

type stopping struct {
	io.ReadCloser
	stop func()
}

func (s *stopping) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err == io.EOF {
		s.stop()
	}
	return n, err
}

// Decode reads JSON.
func Decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Errorf("%s: %v", data, err)
	}
}

// HasMembers checks the names of a JSON object's members, which are given in
// order.
func HasMembers(t *testing.T, object []byte, names ...string) {
	t.Helper()
	var members map[string]json.RawMessage
	Decode(t, object, &members)
	if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, names) {
		t.Errorf("members %q, want %q", got, names)
	}
}

// NoPartOf finds parts of the secrets of 8 characters or more in text, in any
// case.
func NoPartOf(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for i := 0; i+8 <= len(secret); i++ {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret[i:i+8])) {
				t.Errorf("%q of a secret in %q", secret[i:i+8], text)
				return
			}
		}
	}
}
