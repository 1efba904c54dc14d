package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/domain/credential"
	"github.com/muster-agent/muster/domain/enrollment"
	"github.com/muster-agent/muster/ports"
)

// bundleAtLeast is the size, in bytes, from which on an answer to a poll is
// made durable before it is looked at. A certificate with its CA is several
// times as large; "pending" is a tenth of it, and comes every minute for days.
const bundleAtLeast = 512

// managerEnrollment gets this host a certificate from its manager. One
// goroutine at a time uses it.
type managerEnrollment struct {
	w     *World
	who   *identityKeeper
	book  *retryBook
	board *board
	clock *clock
	certs *certificates

	pending  ports.PendingEnrollment
	loaded   bool
	heldBack bool // what an earlier process met has been looked at, in holds
	// holds are the waits that nothing cuts short, not even a person's wish.
	holds map[ports.Activity]hold
	// elsewhere: the record on disk is of another manager, and has a token. It
	// stays until there is one of this manager.
	elsewhere bool
	// roundOver: the newest poll was the last of its round.
	roundOver bool
}

// step is how one step towards a certificate ended.
type step struct {
	// installed: there is a new certificate, and it is in use.
	installed bool
	next      enrollment.ManagerNext
	wait      time.Duration
	attempt   int
}

// url is the manager in the form in which it is recorded.
func (m *managerEnrollment) url() string  { return m.w.Settings.ManagerURL.String() }
func (m *managerEnrollment) host() string { return m.w.Settings.ManagerURL.Host }

// target stands for the manager in the retry record.
func (m *managerEnrollment) target() string { return managerTarget(m.w.Settings) }

func managerTarget(s ports.Settings) string {
	return digest(credential.CanonicalManagerURL(s.ManagerURL.String()))
}

// resume loads what an earlier process left: the pending enrollment, and a
// bundle that was received and not yet installed, which is installed now. It
// reports whether one was.
func (m *managerEnrollment) resume(ctx context.Context) (installed bool, err error) {
	received, err := m.w.Journal.LoadBundle(ctx)
	switch {
	case err == nil:
		return m.finish(ctx, received)
	case !absent(err):
		return false, err
	}
	return false, m.load(ctx)
}

// load reads the pending enrollment, if it is this manager's: a token is sent
// to nobody else.
func (m *managerEnrollment) load(ctx context.Context) error {
	if m.loaded {
		return nil
	}
	pending, err := m.w.Journal.LoadPending(ctx)
	if err != nil && !absent(err) {
		return err
	}
	if credential.CanonicalManagerURL(pending.ManagerURL) == credential.CanonicalManagerURL(m.url()) {
		m.pending = pending
	} else {
		m.pending = ports.PendingEnrollment{}
		m.elsewhere = !pending.Token.Empty()
	}
	m.pending.ManagerURL = m.url()
	m.loaded = true
	m.tidy(ctx)
	if !m.pending.Token.Empty() {
		m.w.Log.Info("an operator's decision is awaited at "+m.host(), event(eventManagerResumed), slog.Int("polls", m.pending.Polls))
		m.board.update(func(st *ports.Status) {
			st.Manager = ports.ManagerStatus{State: ports.ManagerStatePending, Polls: m.pending.Polls, Since: m.pending.RegisteredAt}
		})
	}
	return nil
}

// tidy removes what a crash between the last steps of an installation left:
// without a bundle the previous files are of no more use, and a private key
// only if a request was made with it.
func (m *managerEnrollment) tidy(ctx context.Context) {
	if _, err := m.w.Journal.LoadBundle(ctx); !absent(err) {
		return
	}
	err := m.w.Certificates.DropPrevious(ctx)
	if m.pending.Token.Empty() && m.pending.IdempotencyKey == "" && !m.elsewhere {
		err = errors.Join(err, m.w.Journal.EraseKey(ctx))
	}
	if err != nil {
		m.w.Log.Debug("tidying up after an installation: "+err.Error(), event(eventCertsStatus))
	}
}

// save makes the pending enrollment durable, unless that would cost another
// manager's token before there is one of this manager.
func (m *managerEnrollment) save(ctx context.Context) error {
	if m.elsewhere && m.pending.Token.Empty() {
		return nil
	}
	err := m.w.Journal.SavePending(ctx, m.pending)
	m.elsewhere = m.elsewhere && err != nil
	return err
}

// finish installs a bundle that is in the journal.
func (m *managerEnrollment) finish(ctx context.Context, received ports.ReceivedBundle) (installed bool, err error) {
	var bundle ports.Bundle
	if received.Renewed != nil {
		bundle = *received.Renewed
	} else {
		switch d := m.w.Manager.Interpret(received.Body).(type) {
		case ports.DecisionApproved:
			bundle = d.Bundle
		case ports.DecisionPending, ports.DecisionDenied, ports.DecisionUnknown:
			return false, m.w.Journal.EraseBundle(ctx) // no bundle after all
		case ports.DecisionUnreadable:
			return false, m.certs.refuse(ctx, errors.New(d.Reason))
		}
	}
	if err := m.certs.install(ctx, received, bundle); err != nil {
		return false, err
	}
	m.pending, m.loaded = ports.PendingEnrollment{ManagerURL: m.url()}, true
	j, err := m.certs.look(ctx)
	if err != nil {
		return true, err
	}
	name, what := eventCertsInstalled, "a certificate from "+m.host()+" is installed"
	if received.Renewed != nil {
		name, what = eventCertsRenewed, "the certificate is renewed"
	}
	m.board.update(func(st *ports.Status) {
		st.Manager = ports.ManagerStatus{State: ports.ManagerStateApproved, Since: m.w.Wall()}
	})
	m.w.Log.Info(what, event(name), slog.Time("not_after", j.NotAfter), slog.Time("renew_at", j.RenewAt), slog.String("serial", j.Serial))
	for _, activity := range []ports.Activity{ports.ActivityRegister, ports.ActivityPoll, ports.ActivityRenew} {
		if err := m.book.succeeded(ctx, activity); err != nil {
			m.w.Log.Debug(err.Error(), event(eventEnrollRetry))
		}
	}
	return true, nil
}

// stored reports an error of the store or of an installation as a step.
func (m *managerEnrollment) stored(ctx context.Context, activity ports.Activity, err error) step {
	next := enrollment.ManagerNext{Class: ports.Transient, State: ports.ManagerStateRetrying, Event: eventEnrollRetry, Advice: err.Error()}
	if errors.Is(err, errBundleRefused) {
		m.forget()
		next.Class, next.State, next.Event = ports.Operator, ports.ManagerStateUnexpected, "enroll.rejected"
		next.Advice = fmt.Sprintf("%v; have %s issue another and look at its CA", err, m.host())
	}
	return m.failed(ctx, activity, next, 0)
}

// forget drops the token, which is of no more use.
func (m *managerEnrollment) forget() {
	m.pending = ports.PendingEnrollment{ManagerURL: m.url()}
}

// advance makes the next step of an enrollment: it registers, or asks for the
// operator's decision and installs what that brings.
func (m *managerEnrollment) advance(ctx context.Context) step {
	if err := m.load(ctx); err != nil {
		return m.stored(ctx, ports.ActivityPoll, err)
	}
	if m.pending.Token.Empty() {
		return m.register(ctx)
	}
	return m.poll(ctx)
}

// register asks the manager to take this host in.
func (m *managerEnrollment) register(ctx context.Context) step {
	facts, err := m.w.Host.Describe(ctx, m.w.Settings.ManagerURL.Hostname())
	if err != nil {
		return m.stored(ctx, ports.ActivityRegister, err)
	}
	csr, err := m.prepare(ctx, facts)
	if err != nil {
		return m.stored(ctx, ports.ActivityRegister, fmt.Errorf("nothing was sent, because a certificate could not be stored now: %w", err))
	}
	m.w.Log.Info("registering at "+m.host(), event(eventEnrollAttempt), slog.String("fqdn", facts.FQDN), slog.String("ip_address", facts.IPAddress))
	asking, cancel := outlasting(ctx)
	answer := m.w.Manager.Register(asking, ports.RegisterRequest{
		MachineID: m.machineID(ctx), FQDN: facts.FQDN, IPAddress: facts.IPAddress, OS: facts.OS, Hostname: facts.Hostname,
		CSR: csr, IdempotencyKey: m.pending.IdempotencyKey,
	})
	cancel()
	m.clock.observe(answer.ServerTime)
	next := enrollment.AfterRegister(answer.Outcome, m.host(), false)
	if next.Do != enrollment.StepPoll {
		if ctx.Err() != nil {
			return step{next: next}
		}
		if next.Class != ports.Transient {
			m.pending.IdempotencyKey = "" // the answer is known
			if err := m.save(ctx); err != nil {
				m.w.Log.Warn(err.Error(), event(eventEnrollRetry))
			}
		}
		asked := m.book.asked(answer.RetryAfter, answer.ServerTime)
		if asked == 0 {
			asked = next.RetryAfter
		}
		return m.failed(ctx, ports.ActivityRegister, next, asked)
	}

	ctx = context.WithoutCancel(ctx) // the token comes once
	m.pending = ports.PendingEnrollment{ManagerURL: m.url(), Token: next.Token, RegisteredAt: m.w.Wall()}
	m.w.Log.Info(next.Advice, event(next.Event))
	if err := m.save(ctx); err != nil {
		m.w.Log.Error("the polling token is in use but could not be stored: "+err.Error(), event(eventEnrollRetry))
	}
	if err := m.book.succeeded(ctx, ports.ActivityRegister); err != nil {
		m.w.Log.Debug(err.Error(), event(eventEnrollRetry))
	}
	m.show(next, 0)
	return step{next: next}
}

// prepare makes sure that a crash after the request loses nothing: the
// identity, the private key, the idempotency key and a note of the attempt are
// on disk.
func (m *managerEnrollment) prepare(ctx context.Context, facts ports.HostFacts) (csr []byte, err error) {
	if err := m.who.save(ctx); err != nil {
		return nil, err
	}
	if csr, err = m.request(ctx, facts, m.pending.IdempotencyKey != "" || m.elsewhere); err != nil {
		return nil, err
	}
	if m.pending.IdempotencyKey == "" {
		m.pending.IdempotencyKey = newUUID(m.w.Random)
		if err := m.save(ctx); err != nil {
			m.pending.IdempotencyKey = ""
			return nil, err
		}
	}
	return csr, m.book.begin(ctx, ports.ActivityRegister, m.target())
}

// poll asks for the operator's decision.
func (m *managerEnrollment) poll(ctx context.Context) step {
	entry, err := m.book.entry(ctx, ports.ActivityPoll, m.target())
	if err == nil {
		err = m.w.Journal.ReserveBundle(ctx)
	}
	if err == nil && !entry.LastAttempt.IsZero() {
		err = m.book.begin(ctx, ports.ActivityPoll, m.target())
	}
	if err != nil {
		return m.stored(ctx, ports.ActivityPoll, fmt.Errorf("the manager was not asked, because its answer could not be stored now: %w", err))
	}
	asking, cancel := outlasting(ctx)
	answer := m.w.Manager.Poll(asking, m.pending.Token)
	cancel()
	m.clock.observe(answer.ServerTime)
	answered, ok := answer.Outcome.(ports.PollAnswered)
	if !ok {
		if ctx.Err() != nil {
			return step{}
		}
		return m.decided(ctx, enrollment.AfterPollFailure(answer.Outcome, m.host()), m.book.asked(answer.RetryAfter, answer.ServerTime))
	}

	received := ports.ReceivedBundle{Body: answered.Body, ManagerURL: m.url(), ReceivedAt: m.w.Wall()}
	kept := len(answered.Body.Reveal()) >= bundleAtLeast
	if kept {
		m.keep(ctx, received)
	}
	decision := m.w.Manager.Interpret(answered.Body)
	next := enrollment.AfterDecision(decision, m.host())
	if next.Do == enrollment.StepInstall {
		m.w.Log.Info(next.Advice, event(next.Event))
		if !kept { // a bundle, whatever its size
			m.keep(ctx, received)
		}
		if installed, err := m.finish(ctx, received); err != nil && !installed {
			return m.stored(ctx, ports.ActivityPoll, err)
		}
		return step{installed: true, next: next}
	}
	if kept { // not a bundle, or one that cannot be read
		clear := m.w.Journal.EraseBundle
		if _, unreadable := decision.(ports.DecisionUnreadable); unreadable {
			clear = m.setAside // it may have been a bundle after all
		}
		if err := clear(ctx); err != nil {
			return m.stored(ctx, ports.ActivityPoll, err)
		}
	}
	return m.decided(ctx, next, 0)
}

func (m *managerEnrollment) setAside(ctx context.Context) error {
	_, err := m.w.Journal.RejectBundle(ctx)
	return err
}

// keep makes an answer durable, however long that takes: the manager has
// forgotten it. It gives up only when the agent is told to stop.
func (m *managerEnrollment) keep(ctx context.Context, received ports.ReceivedBundle) {
	for attempt := 1; ; attempt++ {
		err := m.w.Journal.SaveBundle(context.WithoutCancel(ctx), received)
		if err == nil {
			return
		}
		delay := backoff.Wait(m.w.Settings.Delays, ports.Transient, attempt, m.w.Chance())
		m.w.Log.Error("a certificate was received but could not be stored: "+err.Error(), event(eventEnrollRetry), slog.Duration("wait", delay),
			slog.String("class", string(ports.Transient)), slog.Int("attempt", attempt))
		if wait(untilTold(ctx), m.w.Wall, delay, nil) != nil {
			return
		}
	}
}

// decided carries out what follows an answer to a poll that brought no bundle.
// What ends an enrollment counts for the polls, not for the registrations: one
// that is taken in resets those, and a manager that takes this host in and
// forgets it again is asked ever more slowly.
func (m *managerEnrollment) decided(ctx context.Context, next enrollment.ManagerNext, retryAfter time.Duration) step {
	if next.Do == enrollment.StepRegister { // the token is of no more use
		m.forget()
		if err := m.save(ctx); err != nil {
			m.w.Log.Warn(err.Error(), event(eventEnrollRetry))
		}
	}
	if next.Class != "" {
		return m.failed(ctx, ports.ActivityPoll, next, retryAfter)
	}

	// Pending: only such answers count as polls.
	if err := m.book.succeeded(ctx, ports.ActivityPoll); err != nil {
		m.w.Log.Debug(err.Error(), event(eventEnrollRetry))
	}
	m.pending.Polls++
	done := step{next: next, attempt: m.pending.Polls}
	if m.roundOver = m.pending.Polls >= m.w.Settings.MaxPollAttempts; m.roundOver {
		m.pending.Polls = 0
		done.wait = backoff.Wait(m.w.Settings.Delays, ports.Pending, 1, m.w.Chance())
	} else {
		done.wait = m.w.Settings.PollingInterval*9/10 + time.Duration(m.w.Chance()*float64(m.w.Settings.PollingInterval)/5) // ±10 %
	}
	if err := m.save(ctx); err != nil {
		m.w.Log.Warn(err.Error(), event(eventEnrollRetry))
	}
	m.show(next, done.wait)
	m.w.Log.Info(next.Advice, event(next.Event), slog.Duration("wait", done.wait), slog.String("class", string(ports.Pending)), slog.Int("attempt", done.attempt))
	return done
}

// failed notes a failure, shows it and says how long to wait.
func (m *managerEnrollment) failed(ctx context.Context, activity ports.Activity, next enrollment.ManagerNext, retryAfter time.Duration) step {
	return m.failedAt(ctx, activity, m.target(), next, retryAfter)
}

// failedAt is failed for an activity whose counts belong to another target
// than the manager: a renewal's to the certificate.
func (m *managerEnrollment) failedAt(ctx context.Context, activity ports.Activity, target string, next enrollment.ManagerNext, retryAfter time.Duration) step {
	delay, attempt, err := m.book.failed(ctx, activity, target, failure{class: next.Class, state: string(next.State), text: next.Advice, retryAfter: retryAfter})
	delete(m.holds, activity)
	if retryAfter > 0 {
		m.holdFor(activity, delay)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		m.w.Log.Debug(err.Error(), event(eventEnrollRetry))
	}
	m.show(next, delay)
	m.w.Log.Warn(next.Advice, event(next.Event), slog.Duration("wait", delay), slog.String("class", string(next.Class)), slog.Int("attempt", attempt))
	return step{next: next, wait: delay, attempt: attempt}
}

// show puts how the enrollment stands on the board.
func (m *managerEnrollment) show(next enrollment.ManagerNext, delay time.Duration) {
	now := m.w.Wall()
	m.board.update(func(st *ports.Status) {
		if st.Manager.State != next.State || st.Manager.Since.IsZero() {
			st.Manager.Since = now
		}
		st.Manager.State, st.Manager.Polls, st.Manager.NextAttempt = next.State, m.pending.Polls, time.Time{}
		if delay > 0 {
			st.Manager.NextAttempt = now.Add(delay)
		}
		st.Manager.LastError = ""
		if next.Class != "" {
			st.Manager.LastError = next.Advice
		}
	})
}
