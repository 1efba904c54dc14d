package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/domain/backoff"
	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

const (
	// crlEvery is how often the revocation list is fetched, unless its
	// nextUpdate comes first.
	crlEvery = 24 * time.Hour
	// crlSpread moves a fetch earlier by up to this share of the wait, so that
	// a fleet does not come at once.
	crlSpread = 0.1
)

// keepRevocations keeps the revocation list fresh for as long as the agent
// runs and has a certificate.
func (a *Agent) keepRevocations(ctx context.Context) {
	if !a.servable(ctx) {
		return
	}
	entry, err := a.book.entry(ctx, ports.ActivityCRL, a.manager.target())
	if err != nil {
		a.w.Log.Warn(err.Error(), event(eventCertsStatus))
	}
	// What an earlier process planned still holds, as far as it can be.
	delay := min(max(entry.Next.Sub(a.w.Wall()), 0), crlEvery)
	if known := a.revocations(ctx); known.missing {
		delay = backoff.Resume(a.w.Settings.Delays, entry, true, false, a.w.Wall())
	}
	for wait(ctx, a.w.Wall, delay, nil) == nil {
		delay = a.fetchRevocations(ctx)
	}
}

// revocationState is what is to be thought of the stored list.
type revocationState struct {
	missing bool
	cert.CRLJudgement
}

func (a *Agent) revocations(ctx context.Context) revocationState {
	found, err := a.w.Certificates.Read(ctx)
	if err != nil || found.CRL.Missing() {
		return revocationState{missing: true}
	}
	j, err := cert.JudgeCRL(judged(found), a.w.Wall(), a.certs.options())
	if err != nil {
		a.w.Log.Warn(err.Error(), event(eventCertsStatus))
		return revocationState{missing: true}
	}
	if j.Expired {
		a.w.Log.Warn(fmt.Sprintf("the revocation list is past its time (%s) and goes on being used until there is another", when(j.NextUpdate)), event(eventCertsStatus))
	}
	return revocationState{CRLJudgement: j}
}

// fetchRevocations fetches, checks and installs a list, and returns when the
// next one is due. An invalid one is refused, and the last good one kept.
func (a *Agent) fetchRevocations(ctx context.Context) time.Duration {
	target := a.manager.target()
	a.noted(a.book.begin(ctx, ports.ActivityCRL, target))
	answer := a.w.Manager.CRL(ctx)
	a.clock.observe(answer.ServerTime)
	j, err := cert.CRLJudgement{}, errors.New(answer.Reason)
	if answer.Reason == "" {
		j, err = a.installRevocations(ctx, answer.PEM)
	}
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		delay, attempt, noteErr := a.book.failed(ctx, ports.ActivityCRL, target, failure{
			class: ports.Transient, text: err.Error(), retryAfter: a.book.asked(answer.RetryAfter, answer.ServerTime),
		})
		a.noted(noteErr)
		a.w.Log.Warn("the revocation list was not renewed, the last good one is kept: "+err.Error(), event(eventCertsStatus),
			slog.Duration("wait", delay), slog.String("class", string(ports.Transient)), slog.Int("attempt", attempt))
		return delay
	}
	due := crlEvery
	if left := j.NextUpdate.Sub(a.w.Wall()); !j.NextUpdate.IsZero() && left < due {
		due = max(left, a.w.Settings.Delays.Transient.Min)
	}
	due -= time.Duration(a.w.Chance() * crlSpread * float64(due))
	a.noted(a.book.planned(ctx, ports.ActivityCRL, target, due))
	a.w.Log.Debug("the revocation list is fresh", event(eventCertsStatus), slog.Duration("wait", due))
	return due
}

func (a *Agent) installRevocations(ctx context.Context, pem []byte) (cert.CRLJudgement, error) {
	j, err := a.certs.installList(ctx, pem)
	if err != nil {
		return j, err
	}
	now, err := a.certs.look(ctx)
	if err == nil && !now.Servable() {
		a.carer.ask(false, nil) // it was revoked
	}
	return j, err
}

// installList judges a list and puts it in the place of the present one, which
// is set aside if it is damaged.
func (c *certificates) installList(ctx context.Context, pem []byte) (cert.CRLJudgement, error) {
	c.replacing.Lock()
	defer c.replacing.Unlock()
	found, err := c.w.Certificates.Read(ctx)
	if err != nil {
		return cert.CRLJudgement{}, err
	}
	files := judged(found)
	present := cert.Files{CRL: files.CRL}
	files.CRL = ports.FoundFile{Path: "that was received", PEM: pem}
	j, err := cert.JudgeCRL(files, c.w.Wall(), c.options())
	if err == nil {
		err = c.setAside(ctx, present)
	}
	if err == nil {
		err = c.w.Certificates.InstallCRL(ctx, pem)
	}
	return j, err
}
