package siteapi

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
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/httpanswer/servertest"
	"github.com/muster-agent/muster/ports"
)

const (
	enrollmentKey = "cek_Canary-Q7x2Mp9Lr4Tz8Vb3"
	apiKey        = "cak_Minted-W5k1Hn6Dc0Gy7Js2"
)

var request = ports.SiteRequest{SiteCode: "ACME-HQ", EnrollmentKey: ports.NewSecret(enrollmentKey), MachineUID: "muid_1", Hostname: "desk-17"}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	transient := "SiteTransient"
	tests := []struct {
		status int
		body   string
		want   string // the outcome's type, and what its words are or contain
	}{
		{201, `{"key":"` + apiKey + `","extra":{"deep":[1]}}`, "SiteEnrolledNew"},
		{200, `{"key":"` + apiKey + `"}`, "SiteEnrolledAgain"},
		{200, ``, transient},
		{200, `{"key":"` + apiKey + `"`, transient},
		{200, `{"key":"` + apiKey + `"} trailing`, transient},
		{200, `["key","` + apiKey + `"]`, transient},
		{200, `null`, transient},
		{200, `{}`, transient},
		{200, `{"key":null}`, transient},
		{200, `{"key":7}`, transient},
		{200, `{"Key":"` + apiKey + `"}`, transient},
		{200, `{"key":"` + apiKey + `","KEY":"cak_short"}`, "SiteEnrolledAgain"},
		{201, `{"key":"sk_` + apiKey + `"}`, transient},
		{201, `{"key":"cak_567890123456789"}`, transient},
		{201, `{"key":"cak_5678901234567890"}`, "SiteEnrolledNew"},
		{201, `{"key":"cak_567890 1234567890"}`, transient},
		{201, `{"key":"cak_567890\n1234567890"}`, transient},
		{201, `{"key":"cak_567890\u00001234567890"}`, transient},
		{201, `{"key":"cak_567890\u00a01234567890"}`, transient},
		{201, "<html>hello</html>", transient},

		{202, `{"state":"collision_pending"}`, "SiteCollisionPending"},
		{202, `{"key":"` + apiKey + `"}`, "SiteCollisionPending"},
		{202, `nonsense`, "SiteCollisionPending"},

		{401, `{"error":"no such site","code":"ENROLL_REJECTED"}`, "SiteRejected ENROLL_REJECTED: no such site"},
		{401, `{"error":"no such site"}`, "SiteRejected no such site"},
		{401, `{"code":"ENROLL_REJECTED"}`, "SiteRejected ENROLL_REJECTED"},
		{401, `{"error":{"message":"x"},"code":"lower case"}`, "SiteRejected"},
		{401, `{"code":"ENROLL_SITE_CONFLICT"}`, "SiteRejected ENROLL_SITE_CONFLICT"}, // the status decides
		{401, `<html>401</html>`, "SiteRejected"},
		{401, ``, "SiteRejected"},
		{409, `{"error":"in Lyon","code":"ENROLL_SITE_CONFLICT"}`, "SiteConflict ENROLL_SITE_CONFLICT: in Lyon"},
		{409, ``, "SiteConflict"},
		{429, `{"error":"slow down"}`, "SiteRateLimited"},
		{500, `{"key":"` + apiKey + `"}`, transient},
		{502, ``, transient},
		{503, ``, transient},
		{599, ``, transient},

		{204, ``, "SiteUnexpected 204"},
		{206, `{"key":"` + apiKey + `"}`, "SiteUnexpected 206"},
		{302, ``, "SiteUnexpected 302 a redirect, which is not followed"},
		{400, `{"error":"labels missing"}`, "SiteUnexpected 400 labels missing"},
		{403, ``, "SiteUnexpected 403"},
		{404, `404 page not found`, "SiteUnexpected 404"},
		{408, ``, "SiteUnexpected 408"},
		{410, ``, "SiteUnexpected 410"},
		{418, `{"error":"teapot"}`, "SiteUnexpected 418 teapot"},
	}
	for _, tt := range tests {
		outcome := over(servertest.Canned{Status: tt.status, Body: tt.body}).Enroll(t.Context(), request).Outcome
		if got := brief(outcome); got != tt.want {
			t.Errorf("%d %s: got %s, want %s", tt.status, tt.body, got, tt.want)
		}
		noSecrets(t, fmt.Sprintf("%+v", outcome))
	}
}

func brief(o ports.SiteOutcome) string {
	switch o := o.(type) {
	case ports.SiteEnrolledNew:
		return "SiteEnrolledNew"
	case ports.SiteEnrolledAgain:
		return "SiteEnrolledAgain"
	case ports.SiteCollisionPending:
		return "SiteCollisionPending"
	case ports.SiteRejected:
		return strings.TrimSpace("SiteRejected " + o.Detail)
	case ports.SiteConflict:
		return strings.TrimSpace("SiteConflict " + o.Detail)
	case ports.SiteRateLimited:
		return "SiteRateLimited"
	case ports.SiteTransient:
		return "SiteTransient"
	case ports.SiteUnexpected:
		return strings.TrimSpace(fmt.Sprintf("SiteUnexpected %d %s", o.Status, o.Detail))
	}
	return "nothing"
}

// noSecrets finds parts of the keys of 8 characters or more, in any case.
func noSecrets(t *testing.T, text string) {
	t.Helper()
	servertest.NoPartOf(t, text, enrollmentKey, apiKey)
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://host":                 "https://host/api/enroll",
		"https://host/":                "https://host/api/enroll",
		"https://host:8443/muster":     "https://host:8443/muster/api/enroll",
		"https://host/a/b/":            "https://host/a/b/api/enroll",
		"https://host/a%2Fb/":          "https://host/a%2Fb/api/enroll",
		"https://[::1]:8443/?q=1#frag": "https://[::1]:8443/api/enroll",
	} {
		u, err := url.Parse(base)
		is.New(t).NoErr(err)
		if got := New(u, nil, "", nil).endpoint.String(); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
		is.New(t).Equal(u.String(), base) // the caller's URL is not changed
	}
}

func TestAURLThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	outcome := New(&url.URL{Scheme: "https", Host: "no host"}, failing{}, "", error.Error).Enroll(t.Context(), request).Outcome
	is.New(t).Equal(outcome, ports.SiteTransient{Reason: "enrolling at no host failed: the server's URL cannot be used"})
}

func TestRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host got a request") }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		is := is.New(t)
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/api/enroll?token="+enrollmentKey, status)
		})
		outcome := client.Enroll(t.Context(), request).Outcome
		is.Equal(outcome, ports.SiteUnexpected{Status: status, Detail: "a redirect to " + other.URL + ", which is not followed"})
	}
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	const body = `{"key":"` + apiKey + `","error":"no such site"}`
	for _, tt := range []struct {
		status, size int
		want         string
	}{
		{200, 1 << 20, "SiteEnrolledAgain"},
		{200, 1<<20 + 1, "SiteTransient"},
		{401, 1 << 20, "SiteRejected no such site"},
		{401, 1<<20 + 1, "SiteRejected"},
		{404, 1 << 20, "SiteUnexpected 404 no such site"},
		{404, 1<<20 + 1, "SiteUnexpected 404"},
	} {
		answer := servertest.Canned{Status: tt.status, Body: body + strings.Repeat(" ", tt.size-len(body))}
		is.New(t).Equal(brief(over(answer).Enroll(t.Context(), request).Outcome), tt.want)
	}
}

// unread is a transport with an answer whose body nobody has to read.
type unread struct {
	t      *testing.T
	status int
}

func (u unread) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: u.status, Header: http.Header{}, ContentLength: -1, Request: r, Body: io.NopCloser(u)}, r.Body.Close()
}

func (u unread) Read([]byte) (int, error) {
	u.t.Errorf("the body of a %d was read", u.status)
	return 0, io.EOF
}

func TestBodiesThatSayNothing(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{202: "SiteCollisionPending", 429: "SiteRateLimited", 500: "SiteTransient", 503: "SiteTransient"} {
		is.New(t).Equal(brief(over(unread{t, status}).Enroll(t.Context(), request).Outcome), want)
	}
}

func TestBodyThatNeverEnds(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{200: "SiteTransient", 201: "SiteTransient", 202: "SiteCollisionPending", 401: "SiteRejected"} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"key":"`+apiKey+`"`)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			is.Equal(client.timeout, 30*time.Second)
			var outcome ports.SiteOutcome
			for client.timeout = time.Second; client.timeout < time.Minute; client.timeout *= 2 { // until a busy machine has the header
				outcome = client.Enroll(t.Context(), request).Outcome
				noSecrets(t, fmt.Sprintf("%+v", outcome))
				if got := brief(outcome); got == want || got != "SiteTransient" {
					break
				}
			}
			is.Equal(brief(outcome), want)
		})
	}
}

// interrupting is a transport whose caller is told to stop once the answer's
// header is there.
type interrupting struct {
	http.RoundTripper
	stop func()
}

func (i interrupting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := i.RoundTripper.RoundTrip(r)
	i.stop()
	return resp, err
}

func TestInterruptedWhileReading(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 401} {
		is := is.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // so that the answer has no end, however late this is noticed
		})
		client.transport = interrupting{client.transport, cancel}
		is.Equal(brief(client.Enroll(ctx, request).Outcome), "SiteTransient")
	}
}

// The server shows a key once: one that has come is not thrown away.
func TestInterruptedWithTheKeyInHand(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	transport := servertest.LastWord{RoundTripper: servertest.Canned{Status: 201, Body: `{"key":"` + apiKey + `"}`}, Length: -1, Stop: cancel}
	answer := over(transport).Enroll(ctx, request)
	is.True(ctx.Err() != nil)
	is.Equal(answer.Outcome.(ports.SiteEnrolledNew).Key.Reveal(), apiKey)
}

// A connection that breaks, in each of its moments.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	server := httptest.NewServer(nil)
	client := clientOf(t, server)
	server.Close()
	is.Equal(brief(client.Enroll(t.Context(), request).Outcome), "SiteTransient")

	client = serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	is.Equal(brief(client.Enroll(t.Context(), request).Outcome), "SiteTransient")

	client = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"key":"`+apiKey+`"}`)
	})
	outcome := client.Enroll(t.Context(), request).Outcome
	is.Equal(brief(outcome), "SiteTransient")
	noSecrets(t, fmt.Sprintf("%+v", outcome))
}

// failing is a transport whose error tells everything.
type failing struct{}

func (failing) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	return nil, errors.Join(fmt.Errorf("malformed answer %s to %s", body, r.URL), err, r.Body.Close())
}

func TestReasonHoldsNoKey(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	base, err := url.Parse("https://host.example:8443/prefix")
	is.NoErr(err)
	outcome := New(base, failing{}, "", error.Error).Enroll(t.Context(), request).Outcome
	reason := outcome.(ports.SiteTransient).Reason
	noSecrets(t, reason)
	is.True(strings.HasPrefix(reason, "enrolling at host.example:8443 failed: malformed answer"))
	is.True(strings.Contains(reason, "[redacted]"))
}

// Every way in which a server may send the key back.
func TestEchoingServer(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 400, 401, 404, 409, 500} {
		for _, template := range []string{`{"error":%q}`, `{"error":"x","code":%q}`, `{"code":%q}`, `%s`, `{"key":%q}`, `{"error":%q,"code":"ENROLL_REJECTED"}`} {
			for _, echo := range []string{enrollmentKey, enrollmentKey[4:], strings.Repeat("y", 190) + enrollmentKey, strings.ToUpper(enrollmentKey[4:])} {
				answer := over(servertest.Canned{Status: status, Body: fmt.Sprintf(template, echo)}).Enroll(t.Context(), request)
				noSecrets(t, fmt.Sprintf("%+v", answer))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(200, []byte(`{"key":"`+apiKey+`"}`))
	f.Add(201, []byte(`{"key":"cak_`))
	f.Add(202, []byte(`{"state":"collision_pending"}`))
	f.Add(401, []byte(`{"error":"`+enrollmentKey+`","code":"ENROLL_REJECTED"}`))
	f.Add(409, []byte(`{"error":["a"],"code":1}`))
	f.Add(302, []byte(``))
	f.Add(503, []byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		answer := over(servertest.Canned{Status: status, Body: string(body)}).Enroll(t.Context(), request)
		words := ""
		switch o := answer.Outcome.(type) {
		case ports.SiteEnrolledNew:
			fuzzKey(t, status == 201, o.Key)
		case ports.SiteEnrolledAgain:
			fuzzKey(t, status == 200, o.Key)
		case ports.SiteCollisionPending:
			is.New(t).Equal(status, 202)
		case ports.SiteRejected:
			is.New(t).Equal(status, 401)
			words = o.Detail
		case ports.SiteConflict:
			is.New(t).Equal(status, 409)
			words = o.Detail
		case ports.SiteRateLimited:
			is.New(t).Equal(status, 429)
		case ports.SiteTransient:
			is.New(t).True(status >= 500 || status == 200 || status == 201)
			words = o.Reason
		case ports.SiteUnexpected:
			is.New(t).Equal(status, o.Status)
			words = o.Detail
		default:
			t.Fatalf("no outcome for status %d", status)
		}
		servertest.NoPartOf(t, words, enrollmentKey)
		if utf8.RuneCountInString(words) > 200 || strings.ContainsFunc(words, unicode.IsControl) || !utf8.ValidString(words) {
			t.Errorf("not fit for a log: %q", words)
		}
	})
}

func fuzzKey(t *testing.T, expected bool, key ports.Secret) {
	text := key.Reveal()
	if !expected || len(text) < 20 || !strings.HasPrefix(text, "cak_") || strings.ContainsFunc(text, unicode.IsSpace) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("accepted the key %q", text)
	}
}
