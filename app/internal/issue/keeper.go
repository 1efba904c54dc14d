// Package issue gets this host a certificate from its issuer, and keeps it
// valid.
package issue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/muster-agent/muster/app/internal/attempts"
	"github.com/muster-agent/muster/app/internal/certs"
	"github.com/muster-agent/muster/app/internal/identity"
	"github.com/muster-agent/muster/app/internal/skew"
	"github.com/muster-agent/muster/app/internal/tracker"
	"github.com/muster-agent/muster/app/internal/wait"
	"github.com/muster-agent/muster/domain/credential"
	hwid "github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/domain/retry"
	"github.com/muster-agent/muster/ports"
)

// Keeper makes a request for a certificate and sees it through: to an
// operator's decision, to the installed certificate, to each renewal. One
// goroutine at a time uses it, but for Wanted. Set the exported fields before
// the first call.
type Keeper struct {
	Issuer   ports.CertificateIssuer // nil where certificates are placed by hand
	Journal  ports.IssueJournal
	Host     ports.HostDescriber
	Signals  ports.SignalReader
	Settings ports.Settings
	Identity *identity.Keeper
	Certs    *certs.Keeper
	Attempts *attempts.Record
	Tracker  *tracker.Tracker
	Skew     *skew.Clock
	Random   func(b []byte)
	Wall     func() time.Time
	Log      *slog.Logger
	// Wanted is where others ask for a look at the certificate.
	Wanted *RenewWanted

	pending ports.PendingIssue
	loaded  bool
	// resumed: the waits that an earlier process left have been looked at.
	resumed bool
	// notBefore are the waits that nothing cuts short, not even a person's
	// wish.
	notBefore map[ports.Activity]wait.Deadline
	// elsewhere: the record on disk is of another issuer, and awaits its
	// decision. It stays until this issuer has given a resume value.
	elsewhere bool
}

// Pending reports whether an operator's decision is awaited.
func (k *Keeper) Pending() bool { return k.pending.Phase == ports.PhasePending }

// Name is the issuer as texts name it: its host.
func (k *Keeper) Name() string { return k.Settings.IssuerURL().Host }

// url is the issuer in the form in which it is recorded.
func (k *Keeper) url() string { return k.Settings.IssuerURL().String() }

func (k *Keeper) target() string { return retry.IssuerTarget(k.Settings) }

// resume loads what an earlier process left: the request under way, and a
// bundle that was received and not yet installed, which it installs now.
func (k *Keeper) resume(ctx context.Context) error {
	received, err := k.Journal.LoadBundle(ctx)
	switch {
	case err == nil:
		_, err := k.finish(ctx, received)
		return err
	case !ports.Absent(err):
		return err
	}
	return k.load(ctx)
}

// load reads the request under way, if it is this issuer's: a resume value is
// sent to nobody else.
func (k *Keeper) load(ctx context.Context) error {
	if k.loaded {
		return nil
	}
	pending, err := k.Journal.LoadPending(ctx)
	if err != nil && !ports.Absent(err) {
		return err
	}
	k.dropRequest()
	if credential.CanonicalManagerURL(pending.Issuer) == credential.CanonicalManagerURL(k.url()) {
		k.pending = pending
		k.pending.Issuer = k.url()
	} else {
		k.elsewhere = pending.Phase == ports.PhasePending
	}
	k.loaded = true
	k.removeLeftovers(ctx)
	if k.Pending() {
		k.Log.Info("an operator's decision is awaited at "+k.Name(), ports.EventManagerResumed.Attr(), slog.Int("polls", k.pending.Polls))
		k.Tracker.Update(func(st *ports.Status) {
			st.Issuer = ports.IssuerStatus{State: ports.IssuerStatePending, Polls: k.pending.Polls, Since: k.pending.SubmittedAt}
		})
	}
	return nil
}

// removeLeftovers removes what a crash between the last steps of an
// installation left: without a bundle the previous files are of no more use,
// and a private key only if a request was made with it.
func (k *Keeper) removeLeftovers(ctx context.Context) {
	if _, err := k.Journal.LoadBundle(ctx); !ports.Absent(err) {
		return
	}
	err := k.Certs.Files.DropPrevious(ctx)
	if k.pending.Phase == ports.PhaseIdle && !k.elsewhere {
		err = errors.Join(err, k.Journal.EraseKey(ctx))
	}
	if err != nil {
		k.Log.Debug("tidying up after an installation: "+err.Error(), ports.EventCertsStatus.Attr())
	}
}

// save makes the request under way durable, unless that would cost another
// issuer's resume value before there is one of this issuer.
func (k *Keeper) save(ctx context.Context) error {
	if k.elsewhere && !k.Pending() {
		return nil
	}
	err := k.Journal.SavePending(ctx, k.pending)
	k.elsewhere = k.elsewhere && err != nil
	return err
}

// dropRequest drops the request under way, which is of no more use.
func (k *Keeper) dropRequest() {
	k.pending = ports.PendingIssue{Issuer: k.url(), Phase: ports.PhaseIdle}
}

// machineID is what a manager knows this host by (docs/PROTOCOLS.md,
// "Register").
func (k *Keeper) machineID(ctx context.Context) string {
	id := k.Identity.Identity()
	signals, err := k.Signals.Read(ctx)
	// After a clone was detected the machine-id is not among the hashes: it
	// was copied from the original.
	if _, ours := id.Hashes[ports.SignalOSMachineID]; err == nil && ours {
		if raw := hwid.ManagerID(signals.OSMachineID.Value()); raw != "" {
			return raw
		}
	}
	return strings.TrimPrefix(id.MachineUID, "muid_")[:32]
}

// show tells of the request, and when it is asked about next (0: now).
func (k *Keeper) show(state ports.IssuerState, lastError string, next time.Duration) {
	now := k.Wall()
	k.Tracker.Update(func(st *ports.Status) {
		if st.Issuer.State != state || st.Issuer.Since.IsZero() {
			st.Issuer.Since = now
		}
		st.Issuer.State, st.Issuer.Polls, st.Issuer.NextAttempt = state, k.pending.Polls, time.Time{}
		if next > 0 {
			st.Issuer.NextAttempt = now.Add(next)
		}
		st.Issuer.LastError = lastError
	})
}
