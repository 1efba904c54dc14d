package app

import (
	"context"
	"errors"
	"time"

	"github.com/muster-agent/muster/app/internal/certs"
	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/domain/health"
	"github.com/muster-agent/muster/ports"
)

// Disk is what tells how a machine stands while no agent runs. Its stores are
// only read.
type Disk struct {
	Settings    ports.Settings
	Version     string
	Hostname    string
	Identities  ports.IdentityStore
	Credentials ports.CredentialStore
	Retries     ports.RetryStore

	Certificates ports.CertificateFiles
	Journal      ports.IssueJournal
	Now          time.Time
}

// StatusFromDisk is how a machine stands while no agent runs: its state is
// "stopped", and the rest is what was left behind. What cannot be read is
// unknown, and Blocked says what to do about it.
func StatusFromDisk(ctx context.Context, d Disk) ports.Status {
	var problems []error
	// there reports whether a store had what was asked for.
	there := func(err error) bool {
		if err != nil && !ports.Absent(err) {
			problems = append(problems, err)
		}
		return err == nil
	}
	left := health.Left{Protection: d.Credentials.Protection()}
	id, err := d.Identities.LoadIdentity(ctx)
	if there(err) {
		left.Identity = &id
	}
	left.Retries, err = d.Retries.LoadRetries(ctx)
	there(err)
	cred, err := d.Credentials.Load(ctx)
	if there(err) {
		left.Credential = &cred
	}
	left.CredentialUnreadable = err != nil && !ports.Absent(err)
	managed := d.Settings.IssuerURL() != nil
	if managed {
		left.Pending, err = d.Journal.LoadPending(ctx)
		there(err)
	}
	st := health.Stopped(left, d.Settings, d.Version, d.Hostname)
	found, err := d.Certificates.Read(ctx)
	if there(err) {
		j := cert.Judge(certs.Judged(found), d.Now, cert.Options{Threshold: d.Settings.RenewalThreshold, Managed: managed})
		st.Certificate = health.Certificate(j, certs.Placed(found), managed)
		if managed {
			st.Issuer = health.StoppedIssuer(left, d.Settings, j.Status)
		}
	}
	if err := errors.Join(problems...); err != nil {
		st.Blocked = err.Error()
	}
	return st
}

// CertificatePlaced reports whether all files of a certificate are there,
// sound or not: one that has expired, or that a slow clock takes for one of the
// future, is there to serve again once a person or time has healed it.
func CertificatePlaced(ctx context.Context, files ports.CertificateFiles) bool {
	found, err := files.Read(ctx)
	return err == nil && !found.CA.Missing() && !found.Server.Missing() && !found.Key.Missing()
}
