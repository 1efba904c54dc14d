package memory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"

	"github.com/muster-agent/muster/adapters/internal/redact"
	"github.com/muster-agent/muster/ports"
)

// IssuerClient implements ports.CertificateIssuer and ports.RevocationSource.
type IssuerClient struct {
	issuer  *Issuer
	present func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
}

var (
	_ ports.CertificateIssuer = (*IssuerClient)(nil)
	_ ports.RevocationSource  = (*IssuerClient)(nil)
)

// Client returns an adapter that asks m. present gives the certificate that a
// renewal presents, as tls.Config.GetClientCertificate does; nil presents
// none.
func (m *Issuer) Client(present func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *IssuerClient {
	return &IssuerClient{m, present}
}

// Submit implements ports.CertificateIssuer.
func (c *IssuerClient) Submit(ctx context.Context, r ports.IssueRequest) ports.Answer[ports.SubmitOutcome] {
	r.CSR = slices.Clone(r.CSR)
	kind, doing, fault := Register, "registering", c.issuer.OnRegister
	serve := func() ports.SubmitOutcome { return c.issuer.register(r) }
	if !r.Resume.Empty() {
		kind, doing, fault = Poll, "polling", c.issuer.OnPoll
		serve = func() ports.SubmitOutcome { return c.issuer.poll(r.Resume) }
	}
	var faulty func(context.Context, func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome]
	if fault != nil {
		faulty = func(ctx context.Context, serve func() ports.Answer[ports.SubmitOutcome]) ports.Answer[ports.SubmitOutcome] {
			return fault(ctx, r, serve)
		}
	}
	answer := ask(ctx, c.issuer, Request{Kind: kind, Submit: r}, doing, faulty, serve)
	switch o := answer.Outcome.(type) {
	case ports.IssueKnown:
		answer.Outcome = ports.IssueKnown{Detail: redact.Words(o.Detail, r.Resume)}
	case ports.IssueNeedsCredentials:
		answer.Outcome = ports.IssueNeedsCredentials{Detail: redact.Words(o.Detail, r.Resume)}
	case ports.IssueUnexpected:
		answer.Outcome = ports.IssueUnexpected{Status: o.Status, Detail: redact.Words(o.Detail, r.Resume), Check: o.Check}
	case ports.IssueBusy:
		answer.Outcome = ports.IssueBusy{Reason: redact.Words(o.Reason, r.Resume)}
	case ports.Unavailable:
		answer.Outcome = ports.Unavailable{Reason: redact.Words(o.Reason, r.Resume)}
	case ports.IssueReceived, ports.IssuePending, ports.IssueDenied, ports.IssueUnknown:
	}
	return answer
}

// Renew implements ports.CertificateIssuer.
func (c *IssuerClient) Renew(ctx context.Context, csr []byte) ports.Answer[ports.RenewOutcome] {
	csr = slices.Clone(csr)
	var faulty func(context.Context, func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome]
	if fault := c.issuer.OnRenew; fault != nil {
		faulty = func(ctx context.Context, serve func() ports.Answer[ports.RenewOutcome]) ports.Answer[ports.RenewOutcome] {
			return fault(ctx, csr, serve)
		}
	}
	return ask(ctx, c.issuer, Request{Kind: Renew, CSR: csr}, "renewing", faulty, func() ports.RenewOutcome {
		present, err := c.presented()
		if err != nil {
			return ports.Unavailable{Reason: "renewing failed: the TLS handshake failed"}
		}
		return c.issuer.renew(present, csr)
	})
}

// CACertificates implements ports.CertificateIssuer.
func (c *IssuerClient) CACertificates(ctx context.Context) ports.Answer[ports.CAOutcome] {
	return ask(ctx, c.issuer, Request{Kind: CA}, "fetching the CA certificates", c.issuer.OnCA, c.issuer.caCertificates)
}

// RevocationList implements ports.RevocationSource.
func (c *IssuerClient) RevocationList(ctx context.Context) ports.Answer[ports.RevocationOutcome] {
	return ask(ctx, c.issuer, Request{Kind: CRL}, "fetching the revocation list", c.issuer.OnCRL, c.issuer.revocationList)
}

// ask notes a request and gives its answer, the fault's if there is one, or
// says why there is none. Unavailable must be among the outcomes O.
func ask[O any](
	ctx context.Context, m *Issuer, r Request, doing string,
	fault func(context.Context, func() ports.Answer[O]) ports.Answer[O], serve func() O,
) (answer ports.Answer[O]) {
	limited, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	if limited.Err() == nil {
		m.note(r)
		whole := func() ports.Answer[O] { return ports.Answer[O]{Outcome: serve()} }
		if fault == nil {
			answer = whole()
		} else {
			answer = fault(limited, whole)
		}
	}
	failure := ""
	switch {
	case ctx.Err() != nil:
		failure = "interrupted"
	case limited.Err() != nil:
		failure = "timed out"
	case any(answer.Outcome) == nil:
		failure = "no answer"
	default:
		return answer
	}
	return ports.Answer[O]{Outcome: any(ports.Unavailable{Reason: doing + " failed: " + failure}).(O)}
}

// presented is the leaf that a renewal presents, nil for none.
func (c *IssuerClient) presented() (*x509.Certificate, error) {
	if c.present == nil {
		return nil, nil
	}
	certificate, err := c.present(new(tls.CertificateRequestInfo))
	if err != nil || certificate == nil || len(certificate.Certificate) == 0 {
		return nil, err
	}
	return x509.ParseCertificate(certificate.Certificate[0])
}
