package managerapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/managerapi"
	"github.com/muster-agent/muster/contracttest/golden"
	"github.com/muster-agent/muster/ports"
)

// The messages in testdata are written by hand, from docs/PROTOCOLS.md,
// "Manager enrollment".

const csrPEM = "-----BEGIN CERTIFICATE REQUEST-----\nTUlJQg==\n-----END CERTIFICATE REQUEST-----\n"

var (
	plain = ports.IssueRequest{
		MachineID:      "00112233445566778899aabbccddeeff",
		Host:           ports.HostFacts{FQDN: "web-3.example.org", Hostname: "web-3"},
		IdempotencyKey: "5f0e7c64-0f5b-4d0c-9d43-2f9a7a2b6c11",
	}
	full = func() ports.IssueRequest {
		r := plain
		r.Host.IPAddress, r.CSR = "10.20.0.7", []byte(csrPEM)
		r.Host.OS = ports.OSDetails{Distro: "Debian GNU/Linux", Name: "debian", Version: "12", Codename: "bookworm", Kernel: "6.1.0-18-amd64"}
		return r
	}()
	// pollingToken is one that changes when it is put into a URL.
	pollingToken = ports.NewSecret("ept_3f/a?b")
)

func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, *managerapi.Client){
		"register":        func(ctx context.Context, c *managerapi.Client) { c.Submit(ctx, full) },
		"register-no-csr": func(ctx context.Context, c *managerapi.Client) { c.Submit(ctx, plain) },
		"poll": func(ctx context.Context, c *managerapi.Client) {
			c.Submit(ctx, ports.IssueRequest{Resume: pollingToken})
		},
		"renew": func(ctx context.Context, c *managerapi.Client) { c.Renew(ctx, []byte(csrPEM)) },
		"crl":   func(ctx context.Context, c *managerapi.Client) { c.RevocationList(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire := &golden.Wire{T: t}
			ask(t.Context(), client(t, wire, name == "renew"))
			wire.Asked(name)
		})
	}
}

// What a received answer says, after Interpret.
type decided struct{ ports.IssueDecision }

func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	const (
		ca    = "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n"
		leaf  = "-----BEGIN CERTIFICATE-----\nTEVBRg==\n-----END CERTIFICATE-----\n"
		key   = "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n"
		chain = "-----BEGIN CERTIFICATE-----\nSU5URVI=\n-----END CERTIFICATE-----\n"
		crl   = "-----BEGIN X509 CRL-----\nQ1JM\n-----END X509 CRL-----\n"
	)
	bundle := func(key, chain, crl string) ports.Bundle {
		return ports.Bundle{CA: []byte(ca), Cert: []byte(leaf), Key: ports.NewSecret(key), Chain: []byte(chain), CRL: []byte(crl)}
	}
	tests := map[string]struct {
		outcome    any // of the method that the name begins with
		retryAfter string
	}{
		"register-202":                       {ports.IssuePending{Resume: pollingToken}, "60"},
		"register-202-unknown-fields":        {ports.IssuePending{Resume: pollingToken}, ""},
		"register-202-no-token":              {ports.Unavailable{}, ""},
		"register-202-token-of-another-type": {ports.Unavailable{}, ""},
		"register-409":                       {ports.IssueKnown{Detail: "this host exists already"}, ""},
		"register-429":                       {ports.IssueBusy{}, "60"},
		"register-503":                       {ports.Unavailable{}, "30"},
		"register-403":                       {ports.IssueUnexpected{Status: 403, Detail: "this network may not register"}, ""},
		"register-200":                       {ports.IssueUnexpected{Status: 200}, ""},

		"poll-pending":                 {decided{ports.IssuePending{}}, ""},
		"poll-pending-unknown-fields":  {decided{ports.IssuePending{}}, ""},
		"poll-approved":                {decided{ports.Issued{Bundle: bundle(key, chain, crl)}}, ""},
		"poll-approved-least":          {decided{ports.Issued{Bundle: bundle("", "", "")}}, ""},
		"poll-approved-empty-options":  {decided{ports.Issued{Bundle: bundle(key, "", "")}}, ""},
		"poll-approved-no-certificate": {decided{ports.IssueUnreadable{}}, ""},
		"poll-approved-no-ca":          {decided{ports.IssueUnreadable{}}, ""},
		"poll-denied":                  {decided{ports.IssueDenied{}}, ""},
		"poll-notfound":                {decided{ports.IssueUnknown{}}, ""},
		"poll-not_found":               {decided{ports.IssueUnknown{}}, ""},
		"poll-unknown-status":          {decided{ports.IssueUnreadable{}}, ""},
		"poll-404":                     {ports.IssueUnknown{}, ""},
		"poll-429":                     {ports.IssueBusy{}, "120"},
		"poll-403":                     {ports.IssueUnexpected{Status: 403, Detail: "not from here"}, ""},

		"renew-200":       {decided{ports.Issued{Bundle: bundle("", chain, crl)}}, ""},
		"renew-200-least": {decided{ports.Issued{Bundle: bundle("", "", "")}}, ""},
		"renew-404":       {ports.RenewNotOffered{Status: 404}, ""},
		"renew-409":       {ports.RenewNotOffered{Status: 409}, ""},
		"renew-429":       {ports.Unavailable{}, "60"},

		"crl-200": {ports.RevocationList{PEM: []byte(crl)}, ""},
		"crl-503": {ports.Unavailable{}, "30"},
	}
	is.New(t).Equal(golden.Answers(t), len(tests)) // every answer in testdata is tested
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			method, _, _ := strings.Cut(name, "-")
			manager := client(t, &golden.Wire{T: t, Answer: name}, method == "renew")
			outcome, serverTime, retryAfter := ask(t.Context(), manager, method)
			is.Equal(wordless(t, outcome), tt.outcome)
			is.Equal(retryAfter, tt.retryAfter)
			is.Equal(serverTime.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), name == "register-202")
			is.Equal(serverTime.IsZero(), name != "register-202")
		})
	}
}

// ask calls a method and takes its answer apart.
func ask(ctx context.Context, c *managerapi.Client, method string) (outcome any, serverTime time.Time, retryAfter string) {
	switch method {
	case "register":
		a := c.Submit(ctx, full)
		outcome, serverTime, retryAfter = a.Outcome, a.ServerTime, a.RetryAfter
	case "poll":
		a := c.Submit(ctx, ports.IssueRequest{Resume: pollingToken})
		outcome, serverTime, retryAfter = a.Outcome, a.ServerTime, a.RetryAfter
	case "renew":
		a := c.Renew(ctx, []byte(csrPEM))
		outcome, serverTime, retryAfter = a.Outcome, a.ServerTime, a.RetryAfter
	default:
		a := c.RevocationList(ctx)
		outcome, serverTime, retryAfter = a.Outcome, a.ServerTime, a.RetryAfter
	}
	if r, ok := outcome.(ports.IssueReceived); ok {
		outcome = decided{c.Interpret(r.Received)}
	}
	return outcome, serverTime, retryAfter
}

// wordless is an outcome without the words that are not the protocol's, which
// must be there.
func wordless(t *testing.T, outcome any) any {
	t.Helper()
	words := "none are wanted"
	switch o := outcome.(type) {
	case ports.Unavailable:
		outcome, words = ports.Unavailable{}, o.Reason
	case ports.IssueBusy:
		outcome, words = ports.IssueBusy{}, o.Reason
	case ports.IssueUnexpected:
		outcome, words = ports.IssueUnexpected{Status: o.Status, Detail: o.Detail}, o.Check
	case decided:
		if unreadable, ok := o.IssueDecision.(ports.IssueUnreadable); ok {
			outcome, words = decided{ports.IssueUnreadable{}}, unreadable.Reason
		}
	}
	is.New(t).True(words != "")
	return outcome
}

// client is one whose renewals, or all else, go over the transport.
func client(t *testing.T, transport http.RoundTripper, renewals bool) *managerapi.Client {
	base := &url.URL{Scheme: "https", Host: "manager.example.org"}
	var plain, mtls http.RoundTripper = transport, unused{t}
	if renewals {
		plain, mtls = mtls, plain
	}
	return managerapi.New(base, plain, mtls, "muster/1.2.3 (linux; amd64)", error.Error)
}

type unused struct{ t *testing.T }

func (u unused) RoundTrip(*http.Request) (*http.Response, error) {
	u.t.Error("the request went over the other transport")
	return nil, errors.New("the other transport")
}
