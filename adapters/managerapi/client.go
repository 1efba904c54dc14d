// Package managerapi enrolls at a manager over HTTP: docs/PROTOCOLS.md,
// "Manager enrollment".
package managerapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muster-agent/muster/ports"
)

// Client implements ports.CertificateIssuer and ports.RevocationSource for one
// manager.
type Client struct {
	api       string // the URL up to and with /api/v1
	host      string
	transport http.RoundTripper
	mtls      http.RoundTripper
	userAgent string
	describe  func(error) string
	timeout   time.Duration
}

var (
	_ ports.CertificateIssuer = (*Client)(nil)
	_ ports.RevocationSource  = (*Client)(nil)
)

// New returns a client of the manager at base, which may have a path, /api/v1
// at its end and a trailing slash. mtlsTransport presents this machine's
// certificate and carries renewals, transport carries all else; a RoundTripper,
// unlike an http.Client, follows no redirect. userAgent has the form of
// docs/PROTOCOLS.md, "Rules for every request". describe puts an error of a
// transport into a sentence part without secrets.
func New(base *url.URL, transport, mtlsTransport http.RoundTripper, userAgent string, describe func(error) string) *Client {
	const version = "/api/v1"
	u := base.JoinPath()
	u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = "", false, "", ""
	api := strings.TrimSuffix(strings.TrimRight(u.String(), "/"), version) + version
	return &Client{api, u.Host, transport, mtlsTransport, userAgent, describe, requestTimeout}
}

// Submit implements ports.CertificateIssuer: it registers this host, or polls
// for the operator's decision. The resume value is the polling token.
func (c *Client) Submit(ctx context.Context, r ports.IssueRequest) ports.Answer[ports.SubmitOutcome] {
	if r.Resume.Empty() {
		return c.register(ctx, r)
	}
	return c.poll(ctx, r.Resume)
}

func (c *Client) register(ctx context.Context, r ports.IssueRequest) ports.Answer[ports.SubmitOutcome] {
	reply := c.ask(ctx, question{
		doing:          "registering at " + c.host,
		transport:      c.transport,
		method:         http.MethodPost,
		url:            c.api + "/enroll",
		body:           encodeRegister(r),
		idempotencyKey: r.IdempotencyKey,
		wanted:         http.StatusAccepted,
		limit:          maxBody,
	})
	switch {
	case reply.failure != "":
		return answer[ports.SubmitOutcome](reply, ports.Unavailable{Reason: reply.failure})
	case reply.status == http.StatusAccepted:
		token, err := decodeToken(reply.body)
		if err != nil {
			return answer[ports.SubmitOutcome](reply, ports.Unavailable{Reason: reply.reason(err.Error())})
		}
		return answer[ports.SubmitOutcome](reply, ports.IssuePending{Resume: token})
	case reply.status == http.StatusConflict:
		return answer[ports.SubmitOutcome](reply, ports.IssueKnown{Detail: reply.detail})
	}
	return answer(reply, reply.refusal())
}

func (c *Client) poll(ctx context.Context, token ports.Secret) ports.Answer[ports.SubmitOutcome] {
	reply := c.ask(ctx, question{
		doing:     "asking " + c.host + " for its decision",
		transport: c.transport,
		method:    http.MethodGet,
		url:       c.api + "/enroll/status/" + url.PathEscape(token.Reveal()),
		secret:    token,
		wanted:    http.StatusOK,
		limit:     maxBundle,
	})
	switch {
	case reply.failure != "":
		return answer[ports.SubmitOutcome](reply, ports.Unavailable{Reason: reply.failure})
	case reply.status == http.StatusOK:
		return answer[ports.SubmitOutcome](reply, ports.IssueReceived{Received: ports.Received{Raw: ports.NewSecret(reply.body)}})
	case reply.status == http.StatusNotFound:
		return answer[ports.SubmitOutcome](reply, ports.IssueUnknown{})
	}
	return answer(reply, reply.refusal())
}

// refusal is what the statuses mean that a registration and a poll have in
// common.
func (r reply) refusal() ports.SubmitOutcome {
	switch {
	case r.status == http.StatusTooManyRequests:
		return ports.IssueBusy{Reason: r.reason("")}
	case r.status >= 500:
		return ports.Unavailable{Reason: r.reason("")}
	}
	return ports.IssueUnexpected{
		Status: r.status, Detail: r.detail, Check: "MUSTER_MANAGER_URL is a manager that knows /api/v1/enroll",
	}
}

// Renew implements ports.CertificateIssuer.
func (c *Client) Renew(ctx context.Context, csr []byte) ports.Answer[ports.RenewOutcome] {
	reply := c.ask(ctx, question{
		doing:     c.renewing(),
		transport: c.mtls,
		method:    http.MethodPost,
		url:       c.api + "/enroll/renew",
		body:      encodeRenew(csr),
		wanted:    http.StatusOK,
		limit:     maxBundle,
	})
	switch status := reply.status; {
	case reply.failure != "":
		return answer[ports.RenewOutcome](reply, ports.Unavailable{Reason: reply.failure})
	case status == http.StatusOK:
		return answer[ports.RenewOutcome](reply, ports.IssueReceived{Received: ports.Received{Raw: ports.NewSecret(reply.body), Renewal: true}})
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return answer[ports.RenewOutcome](reply, ports.RenewNotOffered{Status: status})
	}
	return answer[ports.RenewOutcome](reply, ports.Unavailable{Reason: reply.reason("")})
}

func (c *Client) renewing() string { return "renewing the certificate at " + c.host }

// CACertificates implements ports.CertificateIssuer: a manager sends its CA with
// each certificate. It makes no request.
func (c *Client) CACertificates(context.Context) ports.Answer[ports.CAOutcome] {
	return ports.Answer[ports.CAOutcome]{Outcome: ports.CANotOffered{}}
}

// RevocationList implements ports.RevocationSource.
func (c *Client) RevocationList(ctx context.Context) ports.Answer[ports.RevocationOutcome] {
	reply := c.ask(ctx, question{
		doing:     "fetching the revocation list from " + c.host,
		transport: c.transport,
		method:    http.MethodGet,
		url:       c.api + "/pki/crl.pem",
		wanted:    http.StatusOK,
		limit:     maxBundle,
	})
	reason := ""
	switch {
	case reply.failure != "":
		reason = reply.failure
	case reply.status != http.StatusOK:
		reason = reply.reason("")
	case strings.TrimSpace(reply.body) == "":
		reason = reply.reason("is empty")
	default:
		return answer[ports.RevocationOutcome](reply, ports.RevocationList{PEM: []byte(reply.body)})
	}
	return answer[ports.RevocationOutcome](reply, ports.Unavailable{Reason: reason})
}

// answer is an outcome and what came with it.
func answer[O any](r reply, outcome O) ports.Answer[O] {
	return ports.Answer[O]{Outcome: outcome, ServerTime: r.serverTime, RetryAfter: r.retryAfter}
}
