package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

// identityKeeper knows which machine this is. It is safe for concurrent use.
type identityKeeper struct {
	w     *World
	board *board
	// lookOnly: nothing is changed, not even a clone's state set aside.
	lookOnly bool

	mu    sync.Mutex
	id    ports.Identity
	saved bool
}

// identity is who this machine is, once that is settled.
func (k *identityKeeper) identity() ports.Identity {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.id
}

// save makes the identity durable, if it is not yet.
func (k *identityKeeper) save(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.saved {
		return nil
	}
	if err := k.w.Identities.SaveIdentity(ctx, k.id); err != nil {
		return fmt.Errorf("storing which machine this is: %w", err)
	}
	k.saved = true
	return nil
}

// establish finds out which machine this is and shows it. A state directory
// that was copied from another machine is set aside first. Its errors are for
// a person: a signal that may not be read (kind ErrNeedsRights), a record that
// may not be used, a clone's state that could not be set aside.
func (k *identityKeeper) establish(ctx context.Context) error {
	recorded, stored, err := k.recorded(ctx)
	if err != nil {
		return err
	}
	signals, err := k.w.Signals.Read(ctx)
	if errors.Is(err, errors.ErrUnsupported) && k.w.Settings.MachineUID != "" {
		signals, err = ports.MachineSignals{}, nil // it is configured who this is
	}
	if err != nil {
		return fmt.Errorf("reading the signals of this machine: %w", err)
	}
	var chance identity.Chance
	k.w.Random(chance.UID[:])
	k.w.Random(chance.Salt[:])
	decision := identity.Decide(recorded, signals, k.w.Settings.MachineUID, chance)
	clone, isClone := decision.(identity.Clone)
	if isClone && !k.lookOnly {
		where, err := k.w.State.SetAside(ctx)
		if err != nil {
			return fmt.Errorf("this state directory was copied from another machine, and its content could not be set aside: %w", err)
		}
		k.w.Log.Warn("this state directory was copied from another machine: it is set aside, nothing in it is used, and this machine enrolls as itself",
			event(eventCloneDetected), slog.String("set_aside", where), slog.Any("differs", clone.Differ))
	}
	if isClone {
		decision, stored = clone.Self, false
	}

	id := ports.Identity{}
	switch d := decision.(type) {
	case identity.New:
		id, stored = d.Identity, false
		id.AgentID, id.CreatedAt = newUUID(k.w.Random), k.w.Wall()
		k.introduce(id)
	case identity.Keep:
		id, stored = d.Identity, stored && !d.Changed
	case identity.Repaired:
		id, stored = d.Identity, false
		k.w.Log.Info("parts of this machine were replaced: it stays the machine that it was", event(eventIdentityRepaired),
			slog.Any("differs", d.Differ), slog.Any("matches", d.Match))
	case identity.NeedsRights:
		return fmt.Errorf("%w: %w", ErrNeedsRights, d)
	case identity.Clone: // its Self is never another one
		return errors.New("this state directory was copied from another machine, which could not be resolved")
	}
	if configured := k.w.Settings.AgentID; configured != "" && configured != id.AgentID {
		id.AgentID, stored = configured, false
	}

	k.mu.Lock()
	k.id, k.saved = id, stored
	k.mu.Unlock()
	k.board.update(func(st *ports.Status) {
		st.MachineUID, st.MachineUIDSource, st.AgentID = id.MachineUID, id.Source, id.AgentID
	})
	return nil
}

// recorded is the identity record, or the credential's copy of a lost one; nil
// if there is neither. stored says that it is on disk as it is.
func (k *identityKeeper) recorded(ctx context.Context) (id *ports.Identity, stored bool, err error) {
	switch record, err := k.w.Identities.LoadIdentity(ctx); {
	case err == nil:
		return &record, true, nil
	case !errors.Is(err, ports.ErrNotStored) && !errors.Is(err, ports.ErrDamaged):
		return nil, false, err
	}
	switch cred, err := k.w.Credentials.Load(ctx); {
	case err == nil && cred.Identity.MachineUID != "":
		k.w.Log.Info("which machine this is was rebuilt from the credential's record", event(eventStoreRecovered))
		return &cred.Identity, false, nil
	case err == nil, errors.Is(err, ports.ErrNotStored), errors.Is(err, ports.ErrDamaged):
		return k.handedOver(ctx), false, nil
	default: // it may hold the identity: wait until it can be read
		return nil, false, err
	}
}

// handedOver is the identity that a process with more rights left for this one;
// nil if there is none.
func (k *identityKeeper) handedOver(ctx context.Context) *ports.Identity {
	if k.w.Handover == nil {
		return nil
	}
	id, err := k.w.Handover.LoadIdentity(ctx)
	if err != nil { // then this process finds out by itself
		return nil
	}
	return &id
}

// introduce says how a new machine is known.
func (k *identityKeeper) introduce(id ports.Identity) {
	level, note := slog.LevelInfo, ""
	switch id.Source {
	case ports.SourceMachineID:
		level, note = slog.LevelWarn, ": no hardware signal was found, so that a re-image makes it another machine; MUSTER_MACHINE_UID overrides"
	case ports.SourceRandom:
		level, note = slog.LevelWarn, ": no signal was found, so that the loss of the state directory makes it another machine; MUSTER_MACHINE_UID overrides"
	case ports.SourceConfigured, ports.SourceSystemUUID, ports.SourceBaseboardDisk:
	}
	k.w.Log.Log(context.Background(), level, "this machine is "+id.MachineUID+", by "+string(id.Source)+note, event(eventIdentity),
		slog.String("machine_uid", id.MachineUID), slog.String("source", string(id.Source)))
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID(random func([]byte)) string {
	var b [16]byte
	random(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// settleIdentity establishes the identity, waiting for as long as only a
// person can make that possible. Its error ends the agent.
func (a *Agent) settleIdentity(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := a.establishIdentity(ctx)
		if err == nil || errors.Is(err, ErrNeedsRights) || ctx.Err() != nil {
			a.board.block("identity", "")
			return err
		}
		if a.blocked(ctx, "identity", err, attempt) != nil {
			return ctx.Err()
		}
	}
}

// establishIdentity finds out which machine this is, unless the state directory
// is a newer version's.
func (a *Agent) establishIdentity(ctx context.Context) error {
	if err := a.w.State.Newer(ctx); err != nil {
		return err
	}
	if err := a.who.establish(ctx); err != nil {
		return err
	}
	if err := a.who.save(ctx); err != nil {
		// Nothing is sent before it is stored; a machine that has a key connects.
		a.w.Log.Warn(err.Error(), event(eventIdentity))
	}
	return nil
}

// Identify finds out which machine this is and writes it to the state
// directory, or, where that cannot be written now, to the Handover too. Where
// the machine is enrolled it also forgets the enrollment key, for an agent that
// lacks the rights.
func (a *Agent) Identify(ctx context.Context) (ports.Identity, error) {
	if err := a.who.establish(ctx); err != nil {
		return a.who.identity(), err
	}
	err := a.who.save(ctx)
	if err != nil {
		err = errors.Join(err, a.HandOver(ctx))
	}
	a.site.forgetIfEnrolled(ctx)
	return a.who.identity(), err
}

// HandOver leaves the identity for an agent that may not read the signals.
func (a *Agent) HandOver(ctx context.Context) error {
	if a.w.Handover == nil {
		return nil
	}
	return a.w.Handover.SaveIdentity(ctx, a.who.identity())
}

// Look finds out which machine this is and changes nothing; stored says that
// the state directory has it just so.
func (a *Agent) Look(ctx context.Context) (id ports.Identity, stored bool, err error) {
	a.who.lookOnly = true
	err = a.who.establish(ctx)
	return a.who.identity(), a.who.saved, err
}
