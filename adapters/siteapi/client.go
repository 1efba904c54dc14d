// Package siteapi enrolls by a site's key over HTTP: POST <server>/api/enroll,
// docs/PROTOCOLS.md, "Site enrollment".
package siteapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/muster-agent/muster/adapters/internal/httpanswer"
	"github.com/muster-agent/muster/adapters/internal/redact"
	"github.com/muster-agent/muster/ports"
)

const (
	// requestTimeout bounds a whole request, the answer's body included;
	// maxBody is how much of a body is read. Both: docs/PROTOCOLS.md,
	// "Rules for every request".
	requestTimeout = 30 * time.Second
	maxBody        = 1 << 20
)

// Client implements ports.SiteEnroller for one server.
type Client struct {
	endpoint  *url.URL
	transport http.RoundTripper
	userAgent string
	describe  func(error) string
	timeout   time.Duration
}

var _ ports.SiteEnroller = (*Client)(nil)

// New returns a client of the server at base, which may have a path and a
// trailing slash. A RoundTripper, unlike an http.Client, follows no redirect.
// userAgent has the form of docs/PROTOCOLS.md, "Rules for every request".
// describe puts an error of the transport into a sentence part without secrets.
func New(base *url.URL, transport http.RoundTripper, userAgent string, describe func(error) string) *Client {
	endpoint := base.JoinPath("api", "enroll")
	endpoint.RawQuery, endpoint.Fragment = "", ""
	return &Client{endpoint, transport, userAgent, describe, requestTimeout}
}

// Enroll implements ports.SiteEnroller.
func (c *Client) Enroll(ctx context.Context, r ports.SiteRequest) ports.Answer[ports.SiteOutcome] {
	fail := func(reason string) ports.Answer[ports.SiteOutcome] {
		return ports.Answer[ports.SiteOutcome]{Outcome: ports.SiteTransient{
			Reason: fmt.Sprintf("enrolling at %s failed: %s", c.endpoint.Host, redact.Secrets(reason, r.EnrollmentKey)),
		}}
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, c.endpoint.String(), bytes.NewReader(encode(r)))
	if err != nil {
		return fail("the server's URL cannot be used")
	}
	req.GetBody = nil // one request: no transport may send it again
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)

	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return fail(c.describe(err))
	}
	defer func() { _ = resp.Body.Close() }() // what matters of it has been read

	answer := c.judge(ctx, resp, r.EnrollmentKey, fail)
	answer.ServerTime, answer.RetryAfter = httpanswer.ServerTime(resp), httpanswer.RetryAfter(resp)
	return answer
}

// judge is the table of docs/PROTOCOLS.md, "Site enrollment". The status alone
// decides; of the body only a key and, for a person, the server's words are
// taken. What has come in full counts though ctx be done: a key is shown only
// once.
func (c *Client) judge(ctx context.Context, resp *http.Response, key ports.Secret, fail func(string) ports.Answer[ports.SiteOutcome]) ports.Answer[ports.SiteOutcome] {
	answer := func(o ports.SiteOutcome) ports.Answer[ports.SiteOutcome] {
		return ports.Answer[ports.SiteOutcome]{Outcome: o}
	}
	status := resp.StatusCode
	switch {
	case status == http.StatusCreated || status == http.StatusOK:
		body, err := httpanswer.Body(resp, maxBody)
		if errors.Is(err, httpanswer.ErrTooLarge) {
			return fail(fmt.Sprintf("of its answer (status %d) more than 1 MiB came", status)) // maxBody
		}
		if err != nil {
			return fail(fmt.Sprintf("of its answer (status %d) %s", status, httpanswer.BodyError(err, c.describe)))
		}
		minted, err := decodeKey(body)
		if err != nil {
			return fail(fmt.Sprintf("its answer (status %d) %v", status, err))
		}
		if status == http.StatusCreated {
			return answer(ports.SiteEnrolledNew{Key: minted})
		}
		return answer(ports.SiteEnrolledAgain{Key: minted})
	case status == http.StatusAccepted:
		return answer(ports.SiteCollisionPending{})
	case status == http.StatusTooManyRequests:
		return answer(ports.SiteRateLimited{})
	case status >= 500:
		return fail(httpanswer.Answered(status))
	}
	detail := ""
	switch {
	case status < 200: // 101, whose body is the connection
	case status >= 300 && status < 400:
		detail = redact.Words(httpanswer.Redirect(resp), key)
	default:
		body, err := httpanswer.Body(resp, maxBody)
		if err != nil && ctx.Err() != nil {
			return fail(c.describe(ctx.Err()))
		}
		detail = redact.Words(decodeDetail(body), key)
	}
	switch status {
	case http.StatusUnauthorized:
		return answer(ports.SiteRejected{Detail: detail})
	case http.StatusConflict:
		return answer(ports.SiteConflict{Detail: detail})
	}
	return answer(ports.SiteUnexpected{Status: status, Detail: detail})
}
