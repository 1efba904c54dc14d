// Package identity decides which machine this is: as which one it enrolls,
// whether it still is the machine that was enrolled, and whether its state
// directory is a copy of another machine's.
package identity

import (
	"maps"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// Chance is the randomness that a new identity needs; the caller draws it
// from crypto/rand.
type Chance struct {
	UID  [32]byte // for a machine that has no signal at all
	Salt [16]byte // for the hashes of the signals
}

// Decide decides which machine this is, from the record of its enrollment (nil if
// there is none), today's signals and the configured machine_uid ("" if none).
//
// Without a record the machine is New. It gets the configured machine_uid, else
// one from the strongest source whose signals are all there. Where a stronger
// signal exists that may not be read, the decision is NeedsRights.
//
// With a record the machine keeps its uid, even if a better source would give
// another one today. A configured uid that differs replaces it: an operator said
// which machine this is, so nothing is compared. Otherwise the hardware signals
// that were recorded and can be read today are compared. In a virtual machine
// only the system UUID counts; another one means Clone. On hardware, a changed
// signal of the enrolled source means Repaired while another signal still
// matches, else Clone.
func Decide(recorded *ports.Identity, signals ports.MachineSignals, configured string, chance Chance) Decision {
	now := observe(signals)
	switch {
	case recorded == nil:
		return establish(now, configured, chance)
	case configured == "":
		return compare(*recorded, now, signals.Virtual, chance)
	case configured == recorded.MachineUID:
		return Keep{Identity: *recorded}
	}
	id := identity(now, configured, ports.SourceConfigured, chance)
	id.AgentID, id.CreatedAt = recorded.AgentID, recorded.CreatedAt
	return Keep{Identity: id, Changed: true}
}

// establish names a machine that has no record.
func establish(now observed, configured string, chance Chance) Decision {
	if configured != "" {
		return New{identity(now, configured, ports.SourceConfigured, chance)}
	}
	for _, candidate := range sources {
		values, denied, complete := now.need(candidate.kinds)
		if denied != "" {
			return NeedsRights{Signal: denied}
		}
		if complete {
			return New{identity(now, MachineUID(candidate.source, values...), candidate.source, chance)}
		}
	}
	uid := MachineUID(ports.SourceRandom, string(chance.UID[:]))
	return New{identity(now, uid, ports.SourceRandom, chance)}
}

// compare decides whether this still is the machine of the record.
func compare(record ports.Identity, now observed, virtual bool, chance Chance) Decision {
	differ, match := now.compare(record)
	if !slices.ContainsFunc(differ, evidence(record.Source, virtual)) {
		return Keep{Identity: record}
	}
	if virtual || len(match) == 0 {
		delete(now.values, ports.SignalOSMachineID) // it was copied too
		delete(now.unreadable, ports.SignalOSMachineID)
		return Clone{Differ: differ, Self: establish(now, "", chance)}
	}
	record.Hashes = maps.Clone(record.Hashes)
	maps.Copy(record.Hashes, now.hashes(record.Salt))
	return Repaired{Identity: record, Differ: differ, Match: match}
}

// evidence returns a function that tells which signals, when they differ, show
// that this is not the machine of the record.
func evidence(source ports.IdentitySource, virtual bool) func(ports.SignalKind) bool {
	return func(kind ports.SignalKind) bool {
		if virtual {
			return kind == ports.SignalSystemUUID
		}
		for _, s := range sources {
			if s.source == source {
				return slices.Contains(s.kinds, kind)
			}
		}
		return false
	}
}

func identity(now observed, uid string, source ports.IdentitySource, chance Chance) ports.Identity {
	salt := slices.Clone(chance.Salt[:])
	return ports.Identity{MachineUID: uid, Source: source, Salt: salt, Hashes: now.hashes(salt)}
}
