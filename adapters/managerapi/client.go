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

// Client implements ports.ManagerEnroller for one manager.
type Client struct {
	api       string // the URL up to and with /api/v1
	host      string
	transport http.RoundTripper
	mtls      http.RoundTripper
	userAgent string
	describe  func(error) string
	timeout   time.Duration
}

var _ ports.ManagerEnroller = (*Client)(nil)

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

// Register implements ports.ManagerEnroller.
func (c *Client) Register(ctx context.Context, r ports.RegisterRequest) ports.RegisterAnswer {
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
	answer := ports.RegisterAnswer{ServerTime: reply.serverTime, RetryAfter: reply.retryAfter}
	switch {
	case reply.failure != "":
		answer.Outcome = ports.RegisterTransient{Reason: reply.failure}
	case reply.status == http.StatusAccepted:
		token, err := decodeToken(reply.body)
		if err != nil {
			answer.Outcome = ports.RegisterTransient{Reason: reply.reason(err.Error())}
			break
		}
		answer.Outcome = ports.Registered{Token: token}
	case reply.status == http.StatusConflict:
		answer.Outcome = ports.HostExists{Detail: reply.detail}
	case reply.status == http.StatusTooManyRequests:
		answer.Outcome = ports.RegisterRateLimited{}
	case reply.status >= 500:
		answer.Outcome = ports.RegisterTransient{Reason: reply.reason("")}
	default:
		answer.Outcome = ports.RegisterUnexpected{Status: reply.status, Detail: reply.detail}
	}
	return answer
}

// Poll implements ports.ManagerEnroller.
func (c *Client) Poll(ctx context.Context, token ports.Secret) ports.PollAnswer {
	reply := c.ask(ctx, question{
		doing:     "asking " + c.host + " for its decision",
		transport: c.transport,
		method:    http.MethodGet,
		url:       c.api + "/enroll/status/" + url.PathEscape(token.Reveal()),
		secret:    token,
		wanted:    http.StatusOK,
		limit:     maxBundle,
	})
	answer := ports.PollAnswer{ServerTime: reply.serverTime, RetryAfter: reply.retryAfter}
	switch {
	case reply.failure != "":
		answer.Outcome = ports.PollTransient{Reason: reply.failure}
	case reply.status == http.StatusOK:
		answer.Outcome = ports.PollAnswered{Body: ports.NewSecret(reply.body)}
	case reply.status == http.StatusNotFound:
		answer.Outcome = ports.PollGone{}
	case reply.status == http.StatusTooManyRequests || reply.status >= 500:
		answer.Outcome = ports.PollTransient{Reason: reply.reason("")}
	default:
		answer.Outcome = ports.PollUnexpected{Status: reply.status, Detail: reply.detail}
	}
	return answer
}

// Renew implements ports.ManagerEnroller.
func (c *Client) Renew(ctx context.Context, csr []byte) ports.RenewAnswer {
	reply := c.ask(ctx, question{
		doing:     "renewing the certificate at " + c.host,
		transport: c.mtls,
		method:    http.MethodPost,
		url:       c.api + "/enroll/renew",
		body:      encodeRenew(csr),
		wanted:    http.StatusOK,
		limit:     maxBundle,
	})
	answer := ports.RenewAnswer{ServerTime: reply.serverTime, RetryAfter: reply.retryAfter}
	switch status := reply.status; {
	case reply.failure != "":
		answer.Outcome = ports.RenewTransient{Reason: reply.failure}
	case status == http.StatusOK:
		bundle, err := decodeRenewed(reply.body)
		if err != nil {
			answer.Outcome = ports.RenewTransient{Reason: reply.reason(err.Error())}
			break
		}
		answer.Outcome = ports.Renewed{Bundle: bundle}
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		answer.Outcome = ports.RenewNotOffered{Status: status}
	default:
		answer.Outcome = ports.RenewTransient{Reason: reply.reason("")}
	}
	return answer
}

// CRL implements ports.ManagerEnroller.
func (c *Client) CRL(ctx context.Context) ports.CRLAnswer {
	reply := c.ask(ctx, question{
		doing:     "fetching the revocation list from " + c.host,
		transport: c.transport,
		method:    http.MethodGet,
		url:       c.api + "/pki/crl.pem",
		wanted:    http.StatusOK,
		limit:     maxBundle,
	})
	answer := ports.CRLAnswer{ServerTime: reply.serverTime, RetryAfter: reply.retryAfter}
	switch {
	case reply.failure != "":
		answer.Reason = reply.failure
	case reply.status != http.StatusOK:
		answer.Reason = reply.reason("")
	case strings.TrimSpace(reply.body) == "":
		answer.Reason = reply.reason("is empty")
	default:
		answer.PEM = []byte(reply.body)
	}
	return answer
}
