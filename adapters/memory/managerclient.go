package memory

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// ManagerClient implements ports.ManagerEnroller.
type ManagerClient struct {
	manager *Manager
	present func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
}

var _ ports.ManagerEnroller = (*ManagerClient)(nil)

// Client returns an enroller at m. present returns the certificate that a renewal
// presents, as tls.Config.GetClientCertificate does; if it is nil, renewals
// present none.
func (m *Manager) Client(present func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *ManagerClient {
	return &ManagerClient{m, present}
}

// Register implements ports.ManagerEnroller.
func (c *ManagerClient) Register(ctx context.Context, r ports.RegisterRequest) ports.RegisterAnswer {
	noted := r
	noted.CSR = slices.Clone(r.CSR)
	answer, failure := askManager(ctx, c.manager, ManagerRequest{Kind: Register, Register: noted}, func(ctx context.Context) ports.RegisterAnswer {
		serve := func() ports.RegisterAnswer { return ports.RegisterAnswer{Outcome: c.manager.register(r)} }
		if c.manager.OnRegister == nil {
			return serve()
		}
		return c.manager.OnRegister(ctx, r, serve)
	})
	if failure != "" || answer.Outcome == nil {
		return ports.RegisterAnswer{Outcome: ports.RegisterTransient{Reason: "registering failed: " + failure}}
	}
	switch o := answer.Outcome.(type) {
	case ports.HostExists:
		answer.Outcome = ports.HostExists{Detail: redact(o.Detail, ports.Secret{})}
	case ports.RegisterUnexpected:
		answer.Outcome = ports.RegisterUnexpected{Status: o.Status, Detail: redact(o.Detail, ports.Secret{})}
	case ports.RegisterTransient:
		answer.Outcome = ports.RegisterTransient{Reason: redact(o.Reason, ports.Secret{})}
	case ports.Registered, ports.RegisterRateLimited:
	}
	return answer
}

// Poll implements ports.ManagerEnroller.
func (c *ManagerClient) Poll(ctx context.Context, token ports.Secret) ports.PollAnswer {
	answer, failure := askManager(ctx, c.manager, ManagerRequest{Kind: Poll, Token: token}, func(ctx context.Context) ports.PollAnswer {
		serve := func() ports.PollAnswer { return ports.PollAnswer{Outcome: c.manager.poll(token)} }
		if c.manager.OnPoll == nil {
			return serve()
		}
		return c.manager.OnPoll(ctx, token, serve)
	})
	if failure != "" || answer.Outcome == nil {
		return ports.PollAnswer{Outcome: ports.PollTransient{Reason: "polling failed: " + failure}}
	}
	switch o := answer.Outcome.(type) {
	case ports.PollUnexpected:
		answer.Outcome = ports.PollUnexpected{Status: o.Status, Detail: redact(o.Detail, token)}
	case ports.PollTransient:
		answer.Outcome = ports.PollTransient{Reason: redact(o.Reason, token)}
	case ports.PollAnswered, ports.PollGone:
	}
	return answer
}

// Interpret implements ports.ManagerEnroller.
func (c *ManagerClient) Interpret(body ports.Secret) ports.PollDecision { return interpret(body) }

// Renew implements ports.ManagerEnroller.
func (c *ManagerClient) Renew(ctx context.Context, csr []byte) ports.RenewAnswer {
	csr = slices.Clone(csr)
	answer, failure := askManager(ctx, c.manager, ManagerRequest{Kind: Renew, CSR: csr}, func(ctx context.Context) ports.RenewAnswer {
		serve := func() ports.RenewAnswer {
			present, err := c.presented()
			if err != nil {
				return ports.RenewAnswer{Outcome: ports.RenewTransient{Reason: "renewing failed: the TLS handshake failed"}}
			}
			return ports.RenewAnswer{Outcome: c.manager.renew(present, csr)}
		}
		if c.manager.OnRenew == nil {
			return serve()
		}
		return c.manager.OnRenew(ctx, csr, serve)
	})
	if failure != "" || answer.Outcome == nil {
		return ports.RenewAnswer{Outcome: ports.RenewTransient{Reason: "renewing failed: " + failure}}
	}
	return answer
}

// CRL implements ports.ManagerEnroller.
func (c *ManagerClient) CRL(ctx context.Context) ports.CRLAnswer {
	answer, failure := askManager(ctx, c.manager, ManagerRequest{Kind: CRL}, func(ctx context.Context) ports.CRLAnswer {
		serve := func() ports.CRLAnswer {
			c.manager.mu.Lock()
			defer c.manager.mu.Unlock()
			list, err := c.manager.list()
			if err != nil {
				return ports.CRLAnswer{Reason: err.Error()}
			}
			return ports.CRLAnswer{PEM: list}
		}
		if c.manager.OnCRL == nil {
			return serve()
		}
		return c.manager.OnCRL(ctx, serve)
	})
	if failure != "" {
		return ports.CRLAnswer{Reason: "fetching the revocation list failed: " + failure}
	}
	return answer
}

// ask notes a request and returns its answer, or says why there is none.
func askManager[A any](ctx context.Context, m *Manager, r ManagerRequest, serve func(context.Context) A) (answer A, failure string) {
	limited, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	if limited.Err() == nil {
		m.note(r)
		answer = serve(limited)
	}
	switch {
	case ctx.Err() != nil:
		return answer, "interrupted"
	case limited.Err() != nil:
		return answer, "timed out"
	}
	return answer, ""
}

// presented is the leaf that a renewal presents, nil for none.
func (c *ManagerClient) presented() (*x509.Certificate, error) {
	if c.present == nil {
		return nil, nil
	}
	certificate, err := c.present(new(tls.CertificateRequestInfo))
	if err != nil || certificate == nil || len(certificate.Certificate) == 0 {
		return nil, err
	}
	return x509.ParseCertificate(certificate.Certificate[0])
}

func blank(b []byte) bool { return len(bytes.TrimSpace(b)) == 0 }
