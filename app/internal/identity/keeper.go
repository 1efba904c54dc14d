// Package identity knows which machine this is.
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/muster-agent/muster/app/internal/tracker"
	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

// ErrSignalDenied is the kind of error for a signal of the machine's identity
// that this process may not read.
var ErrSignalDenied = errors.New("this process may not read what tells this machine from others")

// Keeper finds out which machine this is, and keeps it. It is safe for
// concurrent use. Set the exported fields before the first call.
type Keeper struct {
	Signals     ports.SignalReader
	Identities  ports.IdentityStore
	Handover    ports.IdentityStore // may be nil
	Credentials ports.CredentialStore
	Directory   ports.StateDirectory
	MachineUID  string // configured; overrides what is found
	AgentID     string // configured; overrides what is stored
	Random      func(b []byte)
	Wall        func() time.Time
	Tracker     *tracker.Tracker
	Log         *slog.Logger
	// LookOnly: nothing is changed, not even a clone's state set aside.
	LookOnly bool

	mu    sync.Mutex
	id    ports.Identity
	saved bool
}

// Identity is who this machine is, once Establish has found it out.
func (k *Keeper) Identity() ports.Identity {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.id
}

// Saved reports whether the state directory has the identity just so.
func (k *Keeper) Saved() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.saved
}

// Save makes the identity durable, if it is not yet.
func (k *Keeper) Save(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.saved {
		return nil
	}
	if err := k.Identities.SaveIdentity(ctx, k.id); err != nil {
		return fmt.Errorf("storing which machine this is: %w", err)
	}
	k.saved = true
	return nil
}

// Settle finds out which machine this is and stores it, unless a newer version
// wrote the state directory. An identity that cannot be stored is an error of
// the log only: nothing is sent before it is stored, but a machine that has a
// key connects.
func (k *Keeper) Settle(ctx context.Context) error {
	if err := k.Directory.Newer(ctx); err != nil {
		return err
	}
	if err := k.Establish(ctx); err != nil {
		return err
	}
	if err := k.Save(ctx); err != nil {
		k.Log.Warn(err.Error(), ports.EventIdentity.Attr())
	}
	return nil
}

// Establish finds out which machine this is and shows it. A state directory
// that was copied from another machine is set aside first. Its errors are for
// a person: a signal that may not be read (kind ErrSignalDenied), a record that
// may not be used, a clone's state that could not be set aside.
func (k *Keeper) Establish(ctx context.Context) error {
	recorded, stored, err := k.recorded(ctx)
	if err != nil {
		return err
	}
	signals, err := k.Signals.Read(ctx)
	if errors.Is(err, errors.ErrUnsupported) && k.MachineUID != "" {
		signals, err = ports.MachineSignals{}, nil // it is configured who this is
	}
	if err != nil {
		return fmt.Errorf("reading the signals of this machine: %w", err)
	}
	var chance identity.Chance
	k.Random(chance.UID[:])
	k.Random(chance.Salt[:])
	decision := identity.Decide(recorded, signals, k.MachineUID, chance)
	clone, isClone := decision.(identity.Clone)
	if isClone && !k.LookOnly {
		where, err := k.Directory.SetAside(ctx)
		if err != nil {
			return fmt.Errorf("this state directory was copied from another machine, and its content could not be set aside: %w", err)
		}
		k.Log.Warn("this state directory was copied from another machine: it is set aside, nothing in it is used, and this machine enrolls as itself",
			ports.EventCloneDetected.Attr(), slog.String("set_aside", where), slog.Any("differs", clone.Differ))
	}
	if isClone {
		decision, stored = clone.Self, false
	}

	id := ports.Identity{}
	switch d := decision.(type) {
	case identity.New:
		id, stored = d.Identity, false
		id.AgentID, id.CreatedAt = NewUUID(k.Random), k.Wall()
		k.introduce(id)
	case identity.Keep:
		id, stored = d.Identity, stored && !d.Changed
	case identity.Repaired:
		id, stored = d.Identity, false
		k.Log.Info("parts of this machine were replaced: it stays the machine that it was", ports.EventIdentityRepaired.Attr(),
			slog.Any("differs", d.Differ), slog.Any("matches", d.Match))
	case identity.NeedsRights:
		return fmt.Errorf("%w: %w", ErrSignalDenied, d)
	case identity.Clone: // its Self is never another one
		return errors.New("this state directory was copied from another machine, which could not be resolved")
	}
	if k.AgentID != "" && k.AgentID != id.AgentID {
		id.AgentID, stored = k.AgentID, false
	}

	k.mu.Lock()
	k.id, k.saved = id, stored
	k.mu.Unlock()
	k.Tracker.Update(func(st *ports.Status) {
		st.MachineUID, st.MachineUIDSource, st.AgentID = id.MachineUID, id.Source, id.AgentID
	})
	return nil
}

// recorded is the identity record, or the credential's copy of a lost one; nil
// if there is neither. stored says that it is on disk as it is.
func (k *Keeper) recorded(ctx context.Context) (id *ports.Identity, stored bool, err error) {
	switch record, err := k.Identities.LoadIdentity(ctx); {
	case err == nil:
		return &record, true, nil
	case !ports.Absent(err):
		return nil, false, err
	}
	switch cred, err := k.Credentials.Load(ctx); {
	case err == nil && cred.Identity.MachineUID != "":
		k.Log.Info("which machine this is was rebuilt from the credential's record", ports.EventStoreRecovered.Attr())
		return &cred.Identity, false, nil
	case err == nil, ports.Absent(err):
		return k.handedOver(ctx), false, nil
	default: // it may hold the identity: wait until it can be read
		return nil, false, err
	}
}

// handedOver is the identity that a process with more rights left for this one;
// nil if there is none.
func (k *Keeper) handedOver(ctx context.Context) *ports.Identity {
	if k.Handover == nil {
		return nil
	}
	id, err := k.Handover.LoadIdentity(ctx)
	if err != nil { // then this process finds out by itself
		return nil
	}
	return &id
}

// HandOver leaves the identity for an agent that may not read the signals.
func (k *Keeper) HandOver(ctx context.Context) error {
	if k.Handover == nil {
		return nil
	}
	return k.Handover.SaveIdentity(ctx, k.Identity())
}

// introduce says how a new machine is known.
func (k *Keeper) introduce(id ports.Identity) {
	level, note := slog.LevelInfo, ""
	switch id.Source {
	case ports.SourceMachineID:
		level, note = slog.LevelWarn, ": no hardware signal was found, so that a re-image makes it another machine; MUSTER_MACHINE_UID overrides"
	case ports.SourceRandom:
		level, note = slog.LevelWarn, ": no signal was found, so that the loss of the state directory makes it another machine; MUSTER_MACHINE_UID overrides"
	case ports.SourceConfigured, ports.SourceSystemUUID, ports.SourceBaseboardDisk:
	}
	k.Log.Log(context.Background(), level, "this machine is "+id.MachineUID+", by "+string(id.Source)+note, ports.EventIdentity.Attr(),
		slog.String("machine_uid", id.MachineUID), slog.String("source", string(id.Source)))
}

// NewUUID is a random UUID (RFC 9562, version 4).
func NewUUID(random func([]byte)) string {
	var b [16]byte
	random(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
