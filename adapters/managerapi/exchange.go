package managerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muster-agent/muster/ports"
)

const (
	// requestTimeout bounds a whole request, the answer's body included;
	// maxBody is how much of a body is read, maxBundle of one that may bring
	// certificates or a revocation list. All: docs/PROTOCOLS.md,
	// "Rules for every request".
	requestTimeout = 30 * time.Second
	maxBody        = 1 << 20
	maxBundle      = 16 << 20
	// firstRoom is the most that is set aside for a body on the strength of
	// its Content-Length alone, in bytes: twenty times a usual bundle.
	firstRoom = 128 << 10
)

// question is a request and what of its answer is worth reading.
type question struct {
	doing          string // for the start of a reason
	transport      http.RoundTripper
	method, url    string
	secret         ports.Secret // rides in url
	body           []byte       // JSON; nil for none
	idempotencyKey string
	wanted         int   // the status whose body is needed
	limit          int64 // of that body, bytes
}

// reply is what became of a question.
type reply struct {
	doing      string
	failure    string // why there is no answer, or not all that is needed of it
	status     int
	body       string // whole, of an answer with the wanted status
	detail     string // the manager's words of one that refuses
	serverTime time.Time
	retryAfter string
}

// reason says why an answer does not do: by its status, or by what is wrong
// with its body.
func (r reply) reason(wrong string) string {
	if wrong == "" {
		return strings.TrimSpace(fmt.Sprintf("%s failed: it answered %d %s", r.doing, r.status, http.StatusText(r.status)))
	}
	return fmt.Sprintf("%s failed: its answer (status %d) %s", r.doing, r.status, wrong)
}

// ask makes one request. An answer that has come whole counts although ctx has
// ended meanwhile: the manager may have forgotten what it sent.
func (c *Client) ask(ctx context.Context, q question) reply {
	scrub := scrubber{q.secret.Reveal()}
	fail := func(reason string) reply {
		return reply{failure: fmt.Sprintf("%s failed: %s", q.doing, scrub.secret(reason))}
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(limited, q)
	if err != nil {
		return fail("the manager's URL cannot be used")
	}
	resp, err := q.transport.RoundTrip(req)
	if err != nil {
		return fail(c.describe(err))
	}
	defer func() { _ = resp.Body.Close() }() // what matters of it has been read

	r := reply{doing: q.doing, status: resp.StatusCode}
	switch status := resp.StatusCode; {
	case status == q.wanted:
		if r.body, err = readBody(resp, q.limit); err != nil {
			return fail(fmt.Sprintf("of its answer (status %d) %s", status, c.bodyError(err)))
		}
		if limited.Err() != nil && !surelyWhole(resp, r.body) {
			return fail(c.describe(limited.Err()))
		}
	case status >= 300 && status < 400:
		r.detail = scrub.detail(redirectDetail(resp))
	case status >= 200 && status < 500: // of 101 the body is the connection
		body, err := readBody(resp, maxBody)
		if ctx.Err() != nil && (err != nil || !surelyWhole(resp, body)) {
			return fail(c.describe(ctx.Err()))
		}
		if err == nil {
			r.detail = scrub.detail(decodeDetail(body))
		}
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		r.serverTime = date
	}
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		r.retryAfter = resp.Header.Get("Retry-After")
	}
	return r
}

func (c *Client) request(ctx context.Context, q question) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, body)
	if err != nil {
		return nil, err
	}
	// One request: with a GetBody net/http would send it again by itself,
	// because of its Idempotency-Key.
	req.GetBody = nil
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if q.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", q.idempotencyKey)
	}
	return req, nil
}

var errTooLarge = errors.New("more came than is read of it")

// readBody reads all of a body, or fails for one over limit.
func readBody(resp *http.Response, limit int64) (string, error) {
	if resp.ContentLength > limit {
		return "", errTooLarge
	}
	var body strings.Builder // its content needs no copy to become a Secret
	body.Grow(int(min(max(resp.ContentLength, 0), firstRoom)))
	n, err := io.Copy(&body, io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return "", err
	case n > limit:
		return "", errTooLarge
	}
	return body.String(), nil
}

// surelyWhole judges a body that ended when its request did. A server that sees
// its client hang up may end a chunked body properly in the middle, and the
// client may still read that end.
func surelyWhole(resp *http.Response, body string) bool {
	return resp.ContentLength >= 0 || json.Valid([]byte(body))
}

// bodyError is what went wrong with reading a body, as a sentence part.
func (c *Client) bodyError(err error) string {
	if errors.Is(err, errTooLarge) {
		return err.Error()
	}
	return "not everything came: " + c.describe(err)
}

// redirectDetail names the host that a redirect leads to.
func redirectDetail(resp *http.Response) string {
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Host == "" {
		return "a redirect, which is not followed"
	}
	return "a redirect to " + to.Scheme + "://" + to.Host + ", which is not followed"
}
