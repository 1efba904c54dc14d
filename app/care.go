package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/domain/exitcode"
	"github.com/muster-agent/muster/ports"
)

// lookEvery is how often the files are looked at while nothing is due, so that
// what was put there or damaged by hand is noticed: a look costs a
// millisecond.
const lookEvery = time.Hour

// careResult is how a request for care ended, for the person who asked.
type careResult struct {
	code exitcode.Code
	line string
	held bool // nothing was asked, because it must wait
}

// carer is where the certificate is asked to be cared for at once. It is safe
// for concurrent use.
type carer struct {
	wake chan struct{} // has room for one

	mu    sync.Mutex
	force bool
	asked []chan<- careResult
}

func newCarer() *carer { return &carer{wake: make(chan struct{}, 1)} }

// ask has the certificate looked at now, and renewed with force although it is
// not due. The answer, if wanted, gets the result.
func (c *carer) ask(force bool, answer chan<- careResult) {
	c.mu.Lock()
	c.force = c.force || force
	if answer != nil {
		c.asked = append(c.asked, answer)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

// take returns what was asked since the last call.
func (c *carer) take() (force bool, asked []chan<- careResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	force, asked = c.force, c.asked
	c.force, c.asked = false, nil
	return force, asked
}

// renewNow has the running agent look at its certificate and renew it if that
// is due.
func (a *Agent) renewNow(ctx context.Context) (ports.RenewResult, error) {
	if a.w.Certificates == nil {
		return ports.RenewResult{Code: int(exitcode.Error), Line: "Certificates are not configured: set MUSTER_MANAGER_URL."}, nil
	}
	answer := make(chan careResult, 1)
	a.carer.ask(false, answer)
	select {
	case <-ctx.Done():
		return ports.RenewResult{}, ctx.Err()
	case result := <-answer:
		return ports.RenewResult{Code: int(result.code), Line: result.line}, nil
	}
}

// keepCertified keeps this host's certificate valid for as long as the agent
// runs.
func (a *Agent) keepCertified(ctx context.Context) {
	registered := false // with force: the certificate alone does not ask for it
	for ctx.Err() == nil {
		force, asked := a.carer.take()
		force = force || registered
		result, delay := a.care(ctx, force, false)
		registered = force && a.manager != nil && !a.manager.pending.Token.Empty()
		for _, answer := range asked {
			answer <- result
		}
		if a.waitLooking(ctx, delay) != nil {
			return
		}
	}
}

// waitLooking waits, and shows meanwhile what time makes of the certificate.
func (a *Agent) waitLooking(ctx context.Context, delay time.Duration) error {
	deadline := time.Now().Add(delay)
	wasGood := a.needs(a.certs.judgement()) == enrollment.CareNone
	for {
		piece := min(time.Until(deadline), a.untilChange(), lookEvery)
		woken, err := waitOrWake(ctx, a.w.Wall, piece, a.carer.wake)
		if err != nil || woken || time.Until(deadline) <= 0 {
			return err
		}
		j, err := a.certs.look(ctx)
		if err != nil {
			return err
		}
		if wasGood && a.needs(j) != enrollment.CareNone {
			return nil
		}
	}
}

// needs is what a judgement asks for, whatever the manager offers.
func (a *Agent) needs(j cert.Judgement) enrollment.Care {
	return enrollment.CareFor(j.Status, j.ClockProblem, true)
}

// untilChange is how long it is until time makes something else of the
// certificate.
func (a *Agent) untilChange() time.Duration {
	j, now := a.certs.judgement(), a.w.Wall()
	least := lookEvery
	for _, instant := range []time.Time{j.NotBefore, j.RenewAt, j.End, j.NotAfter} {
		if left := instant.Sub(now); left > 0 {
			least = min(least, left)
		}
	}
	return least
}

// care looks at the certificate and does the one next thing that it needs. It
// returns how that ended and how long to wait before the next.
func (a *Agent) care(ctx context.Context, force, person bool) (careResult, time.Duration) {
	if a.manager != nil {
		if _, err := a.manager.resume(ctx); err != nil { // finish what a crash interrupted
			if _, lookErr := a.certs.look(ctx); lookErr != nil { // the present certificate serves all the same
				return careResult{code: exitcode.Error, line: lookErr.Error()}, 0
			}
			return a.report(a.manager.stored(ctx, ports.ActivityPoll, err))
		}
	}
	j, err := a.certs.look(ctx)
	if err != nil {
		return careResult{code: exitcode.Error, line: err.Error()}, 0
	}
	if a.manager == nil {
		return unmanaged(j), lookEvery
	}
	need := enrollment.CareFor(j.Status, j.ClockProblem, a.manager.renewalOffered(ctx))
	if force && need == enrollment.CareNone {
		need = enrollment.CareRenew
	}
	switch need {
	case enrollment.CareNone:
		a.approved()
		return careResult{code: exitcode.Clean, line: fmt.Sprintf("The certificate is valid until %s and is renewed from %s on.", when(j.NotAfter), when(j.RenewAt))},
			max(j.RenewAt.Sub(a.w.Wall()), time.Millisecond)
	case enrollment.CareClock:
		a.approved()
		return careResult{code: exitcode.Error, line: j.Detail}, a.transientWait(1)
	case enrollment.CareRenew:
		if a.manager.pending.Token.Empty() {
			if pause := a.manager.renewalHeldBack(ctx); pause > 0 {
				return a.heldBack(pause)
			}
			if done, offered := a.manager.renew(ctx); offered {
				return a.report(done)
			}
		}
	case enrollment.CareRegister:
	}
	if pause := a.manager.holdBack(ctx, person); pause > 0 {
		return a.heldBack(pause)
	}
	return a.report(a.manager.advance(ctx))
}

// heldBack is the result of a step that must wait.
func (a *Agent) heldBack(pause time.Duration) (careResult, time.Duration) {
	result := careResult{code: exitcode.Error, held: true, line: a.manager.host() + " was asked a moment ago, or asked for patience."}
	if !a.manager.pending.Token.Empty() {
		result.code = exitcode.InProgress
	}
	return result, pause
}

// approved shows that there is a certificate and nothing to be done.
func (a *Agent) approved() {
	a.board.update(func(st *ports.Status) {
		if st.Manager.State != ports.ManagerStateApproved {
			st.Manager = ports.ManagerStatus{State: ports.ManagerStateApproved, Since: a.w.Wall()}
		}
	})
}

// unmanaged is the result for certificates that were placed by hand.
func unmanaged(j cert.Judgement) careResult {
	if j.Servable() {
		return careResult{code: exitcode.Clean, line: fmt.Sprintf("The certificate is valid until %s. No manager is configured, so nobody renews it.", when(j.NotAfter))}
	}
	return careResult{code: exitcode.Error, line: j.Detail + " No manager is configured: set MUSTER_MANAGER_URL, or place the files by hand."}
}

// report puts the end of a step into words.
func (a *Agent) report(done step) (careResult, time.Duration) {
	switch {
	case done.installed:
		return careResult{code: exitcode.Clean, line: fmt.Sprintf("A certificate is installed, valid until %s.", when(a.certs.judgement().NotAfter))}, 0
	case done.next.Class == "" && done.next.State == ports.ManagerStatePending:
		return careResult{code: exitcode.InProgress, line: capital(done.next.Advice) + "."}, done.wait
	default:
		return careResult{code: exitcode.Error, line: capital(done.next.Advice) + "."}, done.wait
	}
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
