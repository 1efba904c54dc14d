// Package golden compares what an adapter sends and receives with messages in
// its testdata, which are written by hand from docs/PROTOCOLS.md.
package golden

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"
)

// Wire is a transport without a network: it answers with a message from the
// adapter's testdata, NAME.response.http, and keeps what was asked.
type Wire struct {
	T        *testing.T
	Answer   string // the message's NAME; empty for a network that is down
	Requests []*http.Request
	bodies   [][]byte
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		is.New(w.T).NoErr(err)
	}
	w.Requests, w.bodies = append(w.Requests, r), append(w.bodies, body)
	if w.Answer == "" {
		return nil, errors.New("the network is down")
	}
	return http.ReadResponse(message(w.T, w.Answer+".response.http"), r)
}

// Asked compares the one request that was made with NAME.request.http: all of
// its header, and its body as JSON.
func (w *Wire) Asked(name string) {
	w.T.Helper()
	is := is.New(w.T)
	sent := message(w.T, name+".request.http")
	want, err := http.ReadRequest(sent)
	is.NoErr(err)
	body, err := io.ReadAll(sent) // it has no Content-Length
	is.NoErr(err)

	is.Equal(len(w.Requests), 1)
	got := w.Requests[0]
	is.Equal(got.Method, want.Method)
	is.Equal(got.URL.String(), "https://"+want.Host+want.RequestURI)
	is.Equal(got.Header, want.Header)
	is.True(got.GetBody == nil) // no transport may send it again by itself
	SameJSON(w.T, w.bodies[0], body)
}

// Request reads the header of NAME.request.http.
func Request(t *testing.T, name string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(message(t, name+".request.http"))
	is.New(t).NoErr(err)
	return r
}

// Answers is how many answers testdata holds.
func Answers(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("testdata/*.response.http")
	is.New(t).NoErr(err)
	return len(files)
}

func message(t *testing.T, name string) *bufio.Reader {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	is.New(t).NoErr(err)
	return bufio.NewReader(bytes.NewReader(data))
}

// SameJSON compares two texts of JSON: their values, and that neither has a
// member twice. No text at all is equal to itself only.
func SameJSON(t *testing.T, got, want []byte) {
	t.Helper()
	is := is.New(t)
	is.Equal(tokens(t, got), tokens(t, want)) // no member twice
	is.Equal(value(t, got), value(t, want))
}

// value is what JSON says; nil for no text.
func value(t *testing.T, text []byte) (v any) {
	t.Helper()
	if len(text) > 0 {
		is.New(t).NoErr(json.Unmarshal(text, &v))
	}
	return v
}

// tokens counts the tokens of JSON.
func tokens(t *testing.T, text []byte) (n int) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(text)); ; n++ {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
