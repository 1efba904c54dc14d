package siteapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/siteapi"
	"github.com/muster-agent/muster/ports"
)

// The messages in testdata are written by hand, from docs/PROTOCOLS.md, "Site
// enrollment".

var (
	plain = ports.SiteRequest{
		SiteCode:      "ACME-HQ",
		EnrollmentKey: ports.NewSecret("cek_1f0c9a77d2"),
		MachineUID:    "muid_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		Hostname:      "desk-17",
	}
	labelled = func() ports.SiteRequest {
		r := plain
		r.Labels = ports.Labels{
			Company: "Acme & Söhne <Lyon>", Site: "HQ", Department: "Sales", DeviceType: "workstation", Tags: []string{"laptop", "finance"},
		}
		return r
	}()
)

func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]ports.SiteRequest{"enroll": labelled, "enroll-unlabelled": plain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &wire{t: t}
			w.client().Enroll(t.Context(), request)
			w.sent(name)
		})
	}
}

func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	key := ports.NewSecret("cak_9c41f2b86e0d75aa")
	tests := map[string]ports.Answer[ports.SiteOutcome]{
		"201-new":                 {Outcome: ports.SiteEnrolledNew{Key: key}, ServerTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		"201-new-unknown-fields":  {Outcome: ports.SiteEnrolledNew{Key: key}},
		"200-again":               {Outcome: ports.SiteEnrolledAgain{Key: key}},
		"200-no-key":              {Outcome: ports.SiteTransient{}},
		"201-key-of-another-type": {Outcome: ports.SiteTransient{}},
		"201-key-of-another-kind": {Outcome: ports.SiteTransient{}},
		"201-key-too-short":       {Outcome: ports.SiteTransient{}},
		"202-collision":           {Outcome: ports.SiteCollisionPending{}, RetryAfter: "120"},
		"202-with-a-key":          {Outcome: ports.SiteCollisionPending{}},
		"401-rejected":            {Outcome: ports.SiteRejected{Detail: "ENROLL_REJECTED: wrong enrollment key, or unknown site"}},
		"401-empty":               {Outcome: ports.SiteRejected{}},
		"409-conflict":            {Outcome: ports.SiteConflict{Detail: "ENROLL_SITE_CONFLICT: this machine belongs to another site"}},
		"429-limited":             {Outcome: ports.SiteRateLimited{}, RetryAfter: "Sun, 01 Mar 2026 12:05:00 GMT"},
		"503-busy":                {Outcome: ports.SiteTransient{}, RetryAfter: "30"},
		"302-elsewhere":           {Outcome: ports.SiteUnexpected{Status: 302, Detail: "a redirect to https://login.example.org, which is not followed"}},
		"400-version":             {Outcome: ports.SiteUnexpected{Status: 400, Detail: "labels.tags is missing"}},
	}
	files, err := filepath.Glob("testdata/*.response.http")
	is.New(t).NoErr(err)
	is.New(t).Equal(len(files), len(tests)) // every answer in testdata is tested
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			got := (&wire{t: t, answer: name}).client().Enroll(t.Context(), labelled)
			if transient, ok := got.Outcome.(ports.SiteTransient); ok {
				is.True(transient.Reason != "")
				got.Outcome = ports.SiteTransient{} // the words are not the protocol's
			}
			is.Equal(got.Outcome, want.Outcome)
			is.True(got.ServerTime.Equal(want.ServerTime))
			is.Equal(got.RetryAfter, want.RetryAfter)
		})
	}
}

// wire is a transport without a network: it answers with a message from
// testdata and keeps the requests.
type wire struct {
	t        *testing.T
	answer   string // the name of the answer; empty for none
	requests []*http.Request
	bodies   [][]byte
}

func (w *wire) client() *siteapi.Client {
	base := &url.URL{Scheme: "https", Host: "enroll.example.org", Path: "/"}
	return siteapi.New(base, w, "muster/1.2.3 (linux; amd64)", error.Error)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	is.New(w.t).NoErr(err)
	w.requests, w.bodies = append(w.requests, r), append(w.bodies, body)
	if w.answer == "" {
		return nil, errors.New("the network is down")
	}
	return http.ReadResponse(open(w.t, w.answer+".response.http"), r)
}

// sent compares the one request that was made with a message from testdata:
// all of its header, and its body as JSON.
func (w *wire) sent(name string) {
	w.t.Helper()
	is := is.New(w.t)
	golden := open(w.t, name+".request.http")
	want, err := http.ReadRequest(golden)
	is.NoErr(err)
	body, err := io.ReadAll(golden) // it has no Content-Length
	is.NoErr(err)

	is.Equal(len(w.requests), 1)
	got := w.requests[0]
	is.Equal(got.Method, want.Method)
	is.Equal(got.URL.String(), "https://"+want.Host+want.RequestURI)
	is.Equal(got.Header, want.Header)
	is.True(got.GetBody == nil)                           // no transport may send it again by itself
	is.Equal(tokens(w.t, w.bodies[0]), tokens(w.t, body)) // no member twice
	is.Equal(value(w.t, w.bodies[0]), value(w.t, body))
}

func open(t *testing.T, name string) *bufio.Reader {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	is.New(t).NoErr(err)
	return bufio.NewReader(bytes.NewReader(data))
}

func value(t *testing.T, body []byte) (v any) {
	t.Helper()
	is.New(t).NoErr(json.Unmarshal(body, &v))
	return v
}

// tokens counts the tokens of JSON.
func tokens(t *testing.T, body []byte) (n int) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(body)); ; n++ {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
