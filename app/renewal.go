package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/ports"
)

// renew asks the manager for another certificate with the present one. It
// reports a step, or that the manager does not offer that.
func (m *managerEnrollment) renew(ctx context.Context) (done step, offered bool) {
	target := leafDigest(m.certs.judgement().Leaf)
	fail := func(reason string, retryAfter time.Duration) step {
		next := enrollment.ManagerNext{Class: ports.Transient, State: ports.ManagerStateRetrying, Event: eventEnrollRetry, Advice: reason}
		return m.failedAt(ctx, ports.ActivityRenew, target, next, retryAfter)
	}
	facts, err := m.w.Host.Describe(ctx, m.w.Settings.ManagerURL.Hostname())
	if err != nil {
		return fail(err.Error(), 0), true
	}
	csr, err := m.request(ctx, facts, false)
	if err == nil {
		err = errors.Join(m.w.Journal.ReserveBundle(ctx), m.book.begin(ctx, ports.ActivityRenew, target))
	}
	if err != nil {
		return fail(fmt.Sprintf("nothing was sent, because a certificate could not be stored now: %v", err), 0), true
	}
	m.w.Log.Info("asking "+m.host()+" to renew the certificate", event(eventEnrollAttempt))
	asking, cancel := outlasting(ctx)
	answer := m.w.Manager.Renew(asking, csr)
	cancel()
	m.clock.observe(answer.ServerTime)
	switch o := answer.Outcome.(type) {
	case ports.Renewed:
		received := ports.ReceivedBundle{Renewed: &o.Bundle, ManagerURL: m.url(), ReceivedAt: m.w.Wall()}
		m.keep(ctx, received)
		if installed, err := m.finish(ctx, received); err != nil && !installed {
			return fail(err.Error(), 0), true
		}
		return step{installed: true}, true
	case ports.RenewNotOffered:
		m.w.Log.Info(fmt.Sprintf("%s does not renew by itself (status %d): registering, the present certificate stays in use", m.host(), o.Status), event(eventEnrollRetry))
		if _, _, err := m.book.failed(ctx, ports.ActivityRenew, target, failure{class: ports.Operator, state: notOffered, text: "not offered"}); err != nil {
			m.w.Log.Debug(err.Error(), event(eventEnrollRetry))
		}
		return step{}, false
	case ports.RenewTransient:
		if ctx.Err() != nil {
			return step{}, true
		}
		return fail(o.Reason, m.book.asked(answer.RetryAfter, answer.ServerTime)), true
	}
	panic(fmt.Sprintf("app: unknown renew outcome %T", answer.Outcome)) // a linter checks that the switch is whole
}

// notOffered marks, in the retry record, a certificate that the manager does
// not renew: the next one is asked about again.
const notOffered = "not_offered"

// renewalOffered reports whether the manager has not yet said that it does not
// renew the present certificate.
func (m *managerEnrollment) renewalOffered(ctx context.Context) bool {
	entry, err := m.book.entry(ctx, ports.ActivityRenew, leafDigest(m.certs.judgement().Leaf))
	return err != nil || entry.State != notOffered
}
