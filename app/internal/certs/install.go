package certs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// ErrBundleRefused is the kind of error for a received bundle that does not
// validate: it was set aside, and the present certificate stays.
var ErrBundleRefused = errors.New("the certificate that was received cannot be used")

// Install puts a received bundle in the place of the present files. Whatever
// the moment of a crash, calling it again with what the journal holds ends the
// same way. An error of kind ErrBundleRefused is final for this bundle; others
// are the store's or the issuer's, and pass with time.
func (k *Keeper) Install(ctx context.Context, received ports.ReceivedBundle, bundle ports.Bundle) error {
	asking, cancel := wait.Grace(ctx)
	defer cancel()
	ctx = context.WithoutCancel(ctx) // the issuer has forgotten it: there is no second one
	k.replacing.Lock()
	defer k.replacing.Unlock()
	set, err := k.assemble(asking, bundle)
	if err != nil && !ports.Absent(err) {
		return err // a key that only cannot be read now
	}
	if err == nil {
		err = k.judgeSet(&set)
	}
	if err != nil {
		return k.RejectBundle(ctx, err)
	}
	if err := k.makeWay(ctx, set); err != nil {
		return err
	}
	if !received.PreviousKept {
		if err := k.Files.KeepPrevious(ctx); err != nil {
			return err
		}
		received.PreviousKept = true
		if err := k.Journal.SaveBundle(ctx, received); err != nil {
			return err
		}
	}
	if err := k.Files.Install(ctx, set); err != nil {
		return err
	}
	if err := k.prove(ctx); err != nil {
		if restoreErr := k.Files.RestorePrevious(ctx); restoreErr != nil {
			return errors.Join(err, restoreErr) // the journal stays: this is done again
		}
		refused := k.RejectBundle(ctx, err)
		return errors.Join(refused, k.Files.DropPrevious(ctx))
	}
	// In this order, and not past an error: what a crash leaves is either
	// enough to install again, or not needed any more.
	for _, done := range []func(context.Context) error{
		func(ctx context.Context) error {
			return k.Journal.SavePending(ctx, ports.PendingIssue{Issuer: received.Issuer, Phase: ports.PhaseIdle})
		},
		k.Journal.EraseBundle, k.Journal.EraseKey, k.Files.DropPrevious,
	} {
		if err := done(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeWay sets aside the damaged ones of the files that a set is about to
// replace. They are moved before the present files are kept as the previous
// ones, so a set that does not prove itself does not bring them back, only to
// be set aside once more with the next; and again after a crash, which may
// have damaged others.
func (k *Keeper) makeWay(ctx context.Context, set ports.CertificateSet) error {
	found, err := k.Files.Read(ctx)
	if err != nil {
		return err
	}
	files := Judged(found)
	if len(set.CRL) == 0 {
		files.CRL = ports.FoundFile{} // it stays
	}
	return k.setAside(ctx, files)
}

// setAside sets aside those of the files that are damaged.
func (k *Keeper) setAside(ctx context.Context, files cert.Files) error {
	var damaged []ports.DamagedFile
	for _, p := range cert.Damaged(files) {
		damaged = append(damaged, ports.DamagedFile{Path: p.Path, Reason: p.Text})
	}
	if damaged == nil {
		return nil
	}
	return k.Files.SetAside(ctx, damaged)
}

// assemble makes the files of a bundle. asking bounds a question to the issuer.
func (k *Keeper) assemble(asking context.Context, b ports.Bundle) (ports.CertificateSet, error) {
	key, ca := b.Key, b.CA
	if key.Empty() {
		var err error
		if key, err = k.Journal.LoadKey(context.WithoutCancel(asking)); err != nil {
			return ports.CertificateSet{}, fmt.Errorf("the manager signed this host's own key, which is not there any more: %w", err)
		}
	}
	if len(ca) == 0 { // the issuer hands its CA certificates out apart
		switch o := k.Issuer.CACertificates(asking).Outcome.(type) {
		case ports.CACertificates:
			ca = o.PEM
		case ports.CANotOffered: // then the judgement says what is missing
		case ports.Unavailable:
			return ports.CertificateSet{}, errors.New(o.Reason)
		}
	}
	server := append(append([]byte{}, b.Cert...), '\n')
	return ports.CertificateSet{CA: ca, Server: append(server, b.Chain...), Key: key, CRL: b.CRL}, nil
}

// judgeSet judges a set before it replaces anything. It puts the certificates
// of server.pem in order (the leaf, then intermediates) and drops a revocation
// list that is not sound: the last good one stays. A certificate that becomes
// valid within the hour is accepted: a clock is wrong, not it.
func (k *Keeper) judgeSet(set *ports.CertificateSet) error {
	now, options := k.Wall(), k.options()
	files := cert.Files{
		CA: ports.FoundFile{Path: "ca_crt", PEM: set.CA}, Server: ports.FoundFile{Path: "server_crt", PEM: set.Server},
		Key: ports.FoundKey{Path: "server_key", PEM: set.Key}, CRL: ports.FoundFile{Path: "crl_pem", Err: ports.FileMissing{}},
	}
	if len(set.CRL) > 0 {
		files.CRL = ports.FoundFile{Path: "crl_pem", PEM: set.CRL}
		if _, err := cert.JudgeCRL(files, now, options); err != nil {
			k.Log.Warn("the revocation list that came with the certificate is not used: "+err.Error(), ports.EventCertsStatus.Attr())
			set.CRL, files.CRL = nil, ports.FoundFile{Path: "crl_pem", Err: ports.FileMissing{}}
		}
	}
	j := cert.Judge(files, now, options)
	if !j.Servable() && !j.ClockProblem {
		return fmt.Errorf("it is %s: %s", j.Status, j.Detail)
	}
	set.Server = j.ServerPEM()
	return nil
}

// prove reads the installed files back and makes a handshake with them.
func (k *Keeper) prove(ctx context.Context) error {
	found, err := k.Files.Read(ctx)
	if err != nil {
		return err
	}
	files := Judged(found)
	j := cert.Judge(files, k.Wall(), k.options())
	if j.ClockProblem {
		return nil // a handshake within its dates cannot be made yet
	}
	pair, err := cert.KeyPair(files.Key, j)
	if err != nil {
		return err
	}
	return handshake(pair, cert.Roots(files), middle(j.NotBefore, j.NotAfter))
}

func middle(from, to time.Time) time.Time { return from.Add(to.Sub(from) / 2) }

// RejectBundle sets the received bundle aside and returns the error that says
// why, of kind ErrBundleRefused.
func (k *Keeper) RejectBundle(ctx context.Context, why error) error {
	where, err := k.Journal.RejectBundle(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w; it could not be put aside (%w)", ErrBundleRefused, why, err)
	}
	return fmt.Errorf("%w: %w; it is kept in %s", ErrBundleRefused, why, where)
}
