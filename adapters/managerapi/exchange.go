package managerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/muster-agent/muster/adapters/internal/httpanswer"
	"github.com/muster-agent/muster/adapters/internal/redact"
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
		return fmt.Sprintf("%s failed: %s", r.doing, httpanswer.Answered(r.status))
	}
	return fmt.Sprintf("%s failed: its answer (status %d) %s", r.doing, r.status, wrong)
}

// ask makes one request. An answer that has come whole counts although ctx has
// ended meanwhile: the manager may have forgotten what it sent.
func (c *Client) ask(ctx context.Context, q question) reply {
	fail := func(reason string) reply {
		return reply{failure: fmt.Sprintf("%s failed: %s", q.doing, redact.Secrets(reason, q.secret))}
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
		if r.body, err = httpanswer.Body(resp, q.limit); err != nil {
			return fail(fmt.Sprintf("of its answer (status %d) %s", status, httpanswer.BodyError(err, c.describe)))
		}
		if limited.Err() != nil && !surelyWhole(resp, r.body) {
			return fail(c.describe(limited.Err()))
		}
	case status >= 300 && status < 400:
		r.detail = redact.Words(httpanswer.Redirect(resp), q.secret)
	case status >= 200 && status < 500: // of 101 the body is the connection
		body, err := httpanswer.Body(resp, maxBody)
		if ctx.Err() != nil && (err != nil || !surelyWhole(resp, body)) {
			return fail(c.describe(ctx.Err()))
		}
		if err == nil {
			r.detail = redact.Words(decodeDetail(body), q.secret)
		}
	}
	r.serverTime, r.retryAfter = httpanswer.ServerTime(resp), httpanswer.RetryAfter(resp)
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

// surelyWhole judges a body that ended when its request did. A server that sees
// its client hang up may end a chunked body properly in the middle, and the
// client may still read that end.
func surelyWhole(resp *http.Response, body string) bool {
	return resp.ContentLength >= 0 || json.Valid([]byte(body))
}
