package certs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Revocations keeps the revocation list fresh. Set the fields before the first
// call.
type Revocations struct {
	Source   ports.RevocationSource
	Certs    *Keeper
	Attempts *attempts.Record
	Settings ports.Settings
	Revoked  func() // called when this machine's certificate turns out to be revoked
}

// Run fetches the list whenever it is due, for as long as ctx lasts and once
// there is a certificate.
func (r *Revocations) Run(ctx context.Context) {
	if r.Certs.AwaitServable(ctx) != nil {
		return
	}
	entry, err := r.Attempts.Entry(ctx, ports.ActivityCRL, r.target())
	if err != nil {
		r.Certs.Log.Warn(err.Error(), ports.EventCertsStatus.Attr())
	}
	delay := retry.CRLResume(entry.Next, r.Certs.Wall())
	if !r.usable(ctx) {
		delay = retry.NotBefore(entry, r.Settings.Delays, retry.Start, r.Certs.Wall())
	}
	for wait.Sleep(ctx, r.Certs.Wall, delay, nil) == nil {
		delay = r.fetch(ctx)
	}
}

func (r *Revocations) target() string { return retry.IssuerTarget(r.Settings) }

// usable reports whether there is a list that can be used. It warns of one that
// is past its time.
func (r *Revocations) usable(ctx context.Context) bool {
	k := r.Certs
	found, err := k.Files.Read(ctx)
	if err != nil || found.CRL.Missing() {
		return false
	}
	j, err := cert.JudgeCRL(Judged(found), k.Wall(), k.options())
	if err != nil {
		k.Log.Warn(err.Error(), ports.EventCertsStatus.Attr())
		return false
	}
	if j.Expired {
		k.Log.Warn(pastItsTime(j), ports.EventCertsStatus.Attr())
	}
	return true
}

// fetch fetches, checks and installs a list, and returns when the next one is
// due. An invalid one is refused, and the last good one kept.
func (r *Revocations) fetch(ctx context.Context) time.Duration {
	k, target := r.Certs, r.target()
	attempts.LogUnsaved(k.Log, ports.EventCertsStatus, r.Attempts.Begin(ctx, ports.ActivityCRL, target))
	answer := r.Source.RevocationList(ctx)
	k.Skew.Observe(answer.ServerTime)
	var j cert.CRLJudgement
	var err error
	switch o := answer.Outcome.(type) {
	case ports.RevocationList:
		j, err = r.install(ctx, o.PEM)
	case ports.Unavailable:
		err = errors.New(o.Reason)
	}
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		pause, noteErr := r.Attempts.Failed(ctx, ports.ActivityCRL, target, retry.Failure{
			Class: ports.Transient, Text: err.Error(), RetryAfter: r.Attempts.Asked(answer.RetryAfter, answer.ServerTime),
		})
		attempts.LogUnsaved(k.Log, ports.EventCertsStatus, noteErr)
		k.Log.Warn("the revocation list was not renewed, the last good one is kept: "+err.Error(), attempts.LogAttrs(ports.EventCertsStatus, pause)...)
		return pause.Wait
	}
	due := retry.CRLWait(r.Settings.Delays, j.NextUpdate, k.Wall(), r.Attempts.Chance())
	attempts.LogUnsaved(k.Log, ports.EventCertsStatus, r.Attempts.Planned(ctx, ports.ActivityCRL, target, due))
	k.Log.Debug("the revocation list is fresh", ports.EventCertsStatus.Attr(), slog.Duration("wait", due))
	return due
}

func (r *Revocations) install(ctx context.Context, pem []byte) (cert.CRLJudgement, error) {
	j, err := r.Certs.installList(ctx, pem)
	if err != nil {
		return j, err
	}
	now, err := r.Certs.Look(ctx)
	if err == nil && !now.Servable() {
		r.Revoked()
	}
	return j, err
}

// installList judges a list and puts it in the place of the present one, which
// is set aside if it is damaged.
func (k *Keeper) installList(ctx context.Context, pem []byte) (cert.CRLJudgement, error) {
	k.replacing.Lock()
	defer k.replacing.Unlock()
	found, err := k.Files.Read(ctx)
	if err != nil {
		return cert.CRLJudgement{}, err
	}
	files := Judged(found)
	present := cert.Files{CRL: files.CRL}
	files.CRL = ports.FoundFile{Path: "that was received", PEM: pem}
	j, err := cert.JudgeCRL(files, k.Wall(), k.options())
	if err == nil {
		err = k.setAside(ctx, present)
	}
	if err == nil {
		err = k.Files.InstallCRL(ctx, pem)
	}
	return j, err
}
