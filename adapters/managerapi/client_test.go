package managerapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/httpanswer/servertest"
	"github.com/muster-agent/muster/ports"
)

// The token is one that changes when it is put into a URL.
const (
	pollingToken = "Canary/Token %41+Q7x2Mp9Lr4Tz8Vb3"
	privateKey   = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB7tQm1kZyB3\n-----END EC PRIVATE KEY-----\n"
	bundleBody   = `{"status":"approved","ca_crt":"CA","server_crt":"leaf","server_key":"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB7tQm1kZyB3\n-----END EC PRIVATE KEY-----\n"}`
)

var (
	token   = ports.NewSecret(pollingToken)
	poll    = ports.IssueRequest{Resume: token}
	request = ports.IssueRequest{MachineID: "0123", Host: ports.HostFacts{FQDN: "web-3", Hostname: "web-3"}, IdempotencyKey: "k"}
)

// methods are the four that make a request. Each gives its outcome in brief
// and the whole answer.
var methods = map[string]func(context.Context, *Client) (string, ports.Answer[any]){
	"register": func(ctx context.Context, c *Client) (string, ports.Answer[any]) { return brief(c.Submit(ctx, request)) },
	"poll":     func(ctx context.Context, c *Client) (string, ports.Answer[any]) { return brief(c.Submit(ctx, poll)) },
	"renew": func(ctx context.Context, c *Client) (string, ports.Answer[any]) {
		return brief(c.Renew(ctx, []byte("csr")))
	},
	"crl": func(ctx context.Context, c *Client) (string, ports.Answer[any]) { return brief(c.RevocationList(ctx)) },
}

// brief is an outcome's type, and what its words are where they are the
// manager's.
func brief[O any](a ports.Answer[O]) (string, ports.Answer[any]) {
	any := ports.Answer[any]{Outcome: a.Outcome, ServerTime: a.ServerTime, RetryAfter: a.RetryAfter}
	words := ""
	switch o := any.Outcome.(type) {
	case ports.IssueKnown:
		words = o.Detail
	case ports.IssueUnexpected:
		words = strconv.Itoa(o.Status) + " " + o.Detail
	case ports.RenewNotOffered:
		words = strconv.Itoa(o.Status)
	}
	name := strings.TrimPrefix(fmt.Sprintf("%T", any.Outcome), "ports.")
	return strings.TrimSpace(strings.TrimPrefix(name, "Issue") + " " + words), any
}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	const renewed = `{"ca_crt":"CA","server_crt":"leaf"}`
	for _, tt := range []struct {
		method string
		status int
		body   string
		want   string
	}{
		{"register", 202, `{"polling_token":"` + pollingToken + `","extra":{"deep":[1]}}`, "Pending"},
		{"register", 202, `{"polling_token":"x"}`, "Pending"},
		{"register", 202, `{"polling_token":""}`, "Unavailable"},
		{"register", 202, `{"polling_token":"  "}`, "Unavailable"},
		{"register", 202, `{"polling_token":"` + strings.Repeat("x", 2048) + `"}`, "Pending"},
		{"register", 202, `{"polling_token":"` + strings.Repeat("x", 2049) + `"}`, "Unavailable"},
		{"register", 202, `{"polling_token":7}`, "Unavailable"},
		{"register", 202, `{"Polling_Token":"x"}`, "Unavailable"},
		{"register", 202, `{"polling_token":"x"`, "Unavailable"},
		{"register", 202, `{"polling_token":"x"} trailing`, "Unavailable"},
		{"register", 202, `null`, "Unavailable"},
		{"register", 202, ``, "Unavailable"},
		{"register", 200, `{"polling_token":"x"}`, "Unexpected 200"},
		{"register", 201, `{"polling_token":"x"}`, "Unexpected 201"},
		{"register", 204, ``, "Unexpected 204"},
		{"register", 302, ``, "Unexpected 302 a redirect, which is not followed"},
		{"register", 400, `{"error":"fqdn missing"}`, "Unexpected 400 fqdn missing"},
		{"register", 401, `<html>`, "Unexpected 401"},
		{"register", 404, `404 page not found`, "Unexpected 404"},
		{"register", 408, ``, "Unexpected 408"},
		{"register", 409, `{"error":"","detail":"it exists"}`, "Known it exists"},
		{"register", 409, `{"detail":[{"loc":1}],"message":"it exists"}`, "Known it exists"},
		{"register", 409, ``, "Known"},
		{"register", 422, `{"detail":"no"}`, "Unexpected 422 no"},
		{"register", 429, `{"polling_token":"x"}`, "Busy"},
		{"register", 500, `{"polling_token":"x"}`, "Unavailable"},
		{"register", 503, ``, "Unavailable"},
		{"register", 599, ``, "Unavailable"},

		{"poll", 200, bundleBody, "Received"},
		{"poll", 200, `nonsense`, "Received"},
		{"poll", 200, ``, "Received"},
		{"poll", 202, bundleBody, "Unexpected 202"},
		{"poll", 204, ``, "Unexpected 204"},
		{"poll", 301, ``, "Unexpected 301 a redirect, which is not followed"},
		{"poll", 400, `{"message":"no"}`, "Unexpected 400 no"},
		{"poll", 403, ``, "Unexpected 403"},
		{"poll", 404, `{"status":"pending"}`, "Unknown"},
		{"poll", 408, ``, "Unexpected 408"},
		{"poll", 410, ``, "Unexpected 410"},
		{"poll", 429, ``, "Busy"},
		{"poll", 500, bundleBody, "Unavailable"},
		{"poll", 502, ``, "Unavailable"},

		{"renew", 200, renewed, "Received"},
		{"renew", 200, `nonsense`, "Received"},
		{"renew", 200, ``, "Received"},
		{"renew", 201, renewed, "Unavailable"},
		{"renew", 202, renewed, "Unavailable"},
		{"renew", 307, ``, "Unavailable"},
		{"renew", 400, ``, "RenewNotOffered 400"},
		{"renew", 401, ``, "RenewNotOffered 401"},
		{"renew", 404, renewed, "RenewNotOffered 404"},
		{"renew", 405, ``, "RenewNotOffered 405"},
		{"renew", 408, ``, "Unavailable"},
		{"renew", 409, ``, "RenewNotOffered 409"},
		{"renew", 429, ``, "Unavailable"},
		{"renew", 499, ``, "RenewNotOffered 499"},
		{"renew", 500, ``, "Unavailable"},

		{"crl", 200, "anything", "RevocationList"},
		{"crl", 200, "", "Unavailable"},
		{"crl", 200, " \r\n", "Unavailable"},
		{"crl", 203, "anything", "Unavailable"},
		{"crl", 302, "", "Unavailable"},
		{"crl", 404, "", "Unavailable"},
		{"crl", 503, "anything", "Unavailable"},
	} {
		client := over(servertest.Canned{Status: tt.status, Body: tt.body})
		if got, _ := methods[tt.method](t.Context(), client); got != tt.want {
			t.Errorf("%s %d %s: got %q, want %q", tt.method, tt.status, tt.body, got, tt.want)
		}
	}
}

// A manager hands a certificate out once, and may hand it out in a form that
// only a later version reads.
func TestReceivedAsItCame(t *testing.T) {
	t.Parallel()
	const body = "{\"status\":\"approved\", \"status\":7}\x00\xff\r\n"
	for _, renewal := range []bool{false, true} {
		client := over(servertest.Canned{Status: 200, Body: body})
		method := map[bool]string{false: "poll", true: "renew"}[renewal]
		_, a := methods[method](t.Context(), client)
		is.New(t).Equal(a.Outcome, ports.IssueReceived{Received: ports.Received{Raw: ports.NewSecret(body), Renewal: renewal}})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for name, call := range methods {
		for _, status := range []int{200, 202, 302, 400, 404, 409, 429, 500, 502, 503} {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
				w.Header().Set("Retry-After", "  17 ")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"ca_crt":"CA","server_crt":"leaf","polling_token":"x"}`) // the client may have gone
			})
			_, got := call(t.Context(), client)
			want := ""
			if status == 202 || status == 429 || status == 503 {
				want = "17"
			}
			if !got.ServerTime.Equal(time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)) || got.RetryAfter != want {
				t.Errorf("%s %d: %v, %q", name, status, got.ServerTime, got.RetryAfter)
			}
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://host":                      "https://host/api/v1",
		"https://host/":                     "https://host/api/v1",
		"https://host/api/v1":               "https://host/api/v1",
		"https://host/api/v1/":              "https://host/api/v1",
		"https://host/api/v1//":             "https://host/api/v1",
		"https://host/api":                  "https://host/api/api/v1",
		"https://host/myapi/v1":             "https://host/myapi/v1/api/v1",
		"https://host:8443/pki":             "https://host:8443/pki/api/v1",
		"https://host/pki/api/v1":           "https://host/pki/api/v1",
		"https://host/a%2Fb/":               "https://host/a%2Fb/api/v1",
		"https://[::1]:8443/api/v1?q=1#end": "https://[::1]:8443/api/v1",
	} {
		is := is.New(t)
		u, err := url.Parse(base)
		is.NoErr(err)
		seen := new(recorder)
		client := New(u, seen, seen, "", error.Error)
		is.Equal(u.String(), base) // the caller's URL is not changed
		client.Submit(t.Context(), request)
		client.Submit(t.Context(), ports.IssueRequest{Resume: ports.NewSecret("a/b c%41?#..")})
		client.Submit(t.Context(), ports.IssueRequest{Resume: ports.NewSecret("plain")})
		client.Renew(t.Context(), nil)
		client.RevocationList(t.Context())
		is.Equal(seen.urls, []string{
			want + "/enroll", want + "/enroll/status/a%2Fb%20c%2541%3F%23..", want + "/enroll/status/plain",
			want + "/enroll/renew", want + "/pki/crl.pem",
		})
	}
}

// recorder is a transport that fails and notes the URLs.
type recorder struct{ urls []string }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.urls = append(r.urls, req.URL.String())
	return nil, errors.New("not now")
}

func TestRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host got a request") }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.EscapedPath()+"?token="+url.QueryEscape(pollingToken), status)
		})
		want := fmt.Sprintf("Unexpected %d a redirect to %s, which is not followed", status, other.URL)
		for name, want := range map[string]string{"register": want, "poll": want, "renew": "Unavailable", "crl": "Unavailable"} {
			got, _ := methods[name](t.Context(), client)
			is.New(t).Equal(got, want)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	const approved = `{"status":"approved","ca_crt":"CA","server_crt":"leaf","polling_token":"x"}`
	for _, tt := range []struct {
		method string
		status int
		limit  int
		want   string
	}{{"register", 202, 1 << 20, "Pending"}, {"poll", 200, 16 << 20, "Received"}, {"renew", 200, 16 << 20, "Received"}, {"crl", 200, 16 << 20, "RevocationList"}} {
		for size, want := range map[int]string{tt.limit: tt.want, tt.limit + 1: "Unavailable"} {
			answer := servertest.Canned{Status: tt.status, Body: approved + strings.Repeat(" ", size-len(approved))}
			got, _ := methods[tt.method](t.Context(), over(answer))
			is.New(t).Equal(got, want)
		}
	}
}

func TestBodyThatNeverEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method string
		status int
		want   string
	}{{"register", 202, "Unavailable"}, {"register", 409, "Known"}, {"poll", 200, "Unavailable"}, {"poll", 404, "Unknown"}, {"renew", 200, "Unavailable"}, {"crl", 200, "Unavailable"}} {
		t.Run(tt.method+strconv.Itoa(tt.status), func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, bundleBody[:40])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			is.Equal(client.timeout, 30*time.Second)
			got := ""
			for client.timeout = time.Second; got != tt.want && client.timeout < time.Minute; client.timeout *= 2 { // until a busy machine has the header
				if got, _ = methods[tt.method](t.Context(), client); got != "Unavailable" {
					break
				}
			}
			is.Equal(got, tt.want)
		})
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	closed := clientOf(t, server)
	server.Close()
	begin := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[bool]int{true: 202, false: 200}[r.URL.Path == "/api/v1/enroll"])
		_, _ = io.WriteString(w, bundleBody) // cut on purpose
	}
	for name, client := range map[string]*Client{
		"nobody there": closed,
		"no answer":    serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"short of its length": serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100000")
			begin(w, r)
		}),
		"short of its last chunk": serve(t, func(w http.ResponseWriter, r *http.Request) {
			begin(w, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}),
	} {
		for method, call := range methods {
			if got, _ := call(t.Context(), client); got != "Unavailable" {
				t.Errorf("%s: %s: %s", name, method, got)
			}
		}
	}
}

// A connection that was kept and turns out to be dead after the request was
// sent is no reason for net/http to send a registration again, whatever its
// Idempotency-Key allows.
func TestRegistrationIsSentOnce(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var requests atomic.Int32
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(202)
		_, _ = io.WriteString(w, `{"polling_token":"x"}`)
	})
	first, _ := methods["register"](t.Context(), client)
	second, _ := methods["register"](t.Context(), client)
	is.Equal([]string{first, second}, []string{"Pending", "Unavailable"})
	is.Equal(int(requests.Load()), 2)
}

func TestWholeAnswerOutlivesItsContext(t *testing.T) {
	t.Parallel()
	const body = `{"polling_token":"x","ca_crt":"CA","server_crt":"leaf"}`
	for method, want := range map[string]string{"register": "Pending", "poll": "Received", "renew": "Received", "crl": "RevocationList"} {
		for _, tt := range []struct {
			length int64
			body   string
			want   string
		}{
			{int64(len(body)), body, want},
			{-1, body, want},
			// What a server sends that sees its client hang up: the end of the
			// body, too early.
			{-1, body[:len(body)-1], "Unavailable"},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			status := map[bool]int{true: 202, false: 200}[method == "register"]
			transport := servertest.LastWord{RoundTripper: servertest.Canned{Status: status, Body: tt.body}, Length: tt.length, Stop: cancel}
			got, _ := methods[method](ctx, over(transport))
			is.New(t).Equal(got, tt.want)
			is.New(t).True(ctx.Err() != nil)
		}
		// So too with an answer that refuses.
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		transport := servertest.LastWord{RoundTripper: servertest.Canned{Status: 409}, Length: -1, Stop: cancel}
		got, _ := methods[method](ctx, over(transport))
		is.New(t).Equal(got, "Unavailable")
	}
}

func TestInterruptedWhileReading(t *testing.T) {
	t.Parallel()
	for method, call := range methods {
		for _, status := range []int{200, 202, 409} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				w.(http.Flusher).Flush()
				cancel()
				<-r.Context().Done()
			})
			if got, _ := call(ctx, client); got != "Unavailable" {
				t.Errorf("%s %d: %s", method, status, got)
			}
		}
	}
}

// failing is a transport whose error tells everything, as *url.Error does.
type failing struct{}

func (failing) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: fmt.Errorf("lost: %s and %s and %q", r.URL.Path, strings.ToUpper(r.URL.RawPath), privateKey)}
}

func TestReasonHoldsNoSecret(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	base, err := url.Parse("https://host.example:8443/prefix")
	is.NoErr(err)
	client := New(base, failing{}, failing{}, "", error.Error)
	reason := client.Submit(t.Context(), poll).Outcome.(ports.Unavailable).Reason
	servertest.NoPartOf(t, reason, pollingToken, url.PathEscape(pollingToken), "MHcCAQEEIB7tQm1kZyB3")
	is.True(strings.HasPrefix(reason, `asking host.example:8443 for its decision failed: Get "https://host.example:8443/prefix/api/v1/enroll/status/[redacted]": lost: `))
	reason = client.Submit(t.Context(), request).Outcome.(ports.Unavailable).Reason
	is.True(strings.HasPrefix(reason, `registering at host.example:8443 failed: Get "https://host.example:8443/prefix/api/v1/enroll": lost: `))
	servertest.NoPartOf(t, reason, "MHcCAQEEIB7tQm1kZyB3")

	// What the client itself finds wrong.
	client = New(&url.URL{Scheme: "https", Host: "bad\x7fhost"}, failing{}, failing{}, "", error.Error)
	for method, call := range methods {
		got, _ := call(t.Context(), client)
		if got != "Unavailable" {
			t.Errorf("%s: %s", method, got)
		}
	}
	servertest.NoPartOf(t, client.Submit(t.Context(), poll).Outcome.(ports.Unavailable).Reason, pollingToken, url.PathEscape(pollingToken))
}

// Every way in which a manager may send a secret back.
func TestEchoingManager(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 202, 301, 400, 403, 404, 409, 500} {
		for _, template := range []string{`{"error":%q}`, `{"detail":%q}`, `{"message":%q}`, `%s`, `{"polling_token":%q}`, `{"error":%q,"status":"approved"}`} {
			for _, echo := range []string{
				pollingToken, url.PathEscape(pollingToken), strings.Repeat("y", 190) + pollingToken, strings.ToUpper(pollingToken[4:]),
				privateKey, privateKey[:50], strings.Repeat("y ", 90) + privateKey,
			} {
				canned := servertest.Canned{Status: status, Body: fmt.Sprintf(template, echo)}
				client := over(canned)
				for _, words := range []string{
					fmt.Sprintf("%+v", client.Submit(t.Context(), poll)),
					fmt.Sprintf("%+v", client.Interpret(ports.Received{Raw: ports.NewSecret(canned.Body)})),
					fmt.Sprintf("%+v", client.Interpret(ports.Received{Raw: ports.NewSecret(canned.Body), Renewal: true})),
				} {
					servertest.NoPartOf(t, words, pollingToken, url.PathEscape(pollingToken), "MHcCAQEEIB7tQm1kZyB3")
				}
				servertest.NoPartOf(t, fmt.Sprintf("%+v", client.Submit(t.Context(), request)), "MHcCAQEEIB7tQm1kZyB3")
			}
		}
	}
}
