package identity_test

import (
	"fmt"
	"testing"

	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

const configured = "muid_00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee"

// What a machine of these tests was enrolled with, and another's.
var (
	ours = map[ports.SignalKind]string{
		ports.SignalSystemUUID:      "7b2e1d9c-4a5f-4c3b-9e8d-1f2a3b4c5d6e",
		ports.SignalBaseboardSerial: "/7QA2MF9/CN1296319N0/",
		ports.SignalDiskSerial:      "S3Z9NB0K123456A",
		ports.SignalOSMachineID:     "5f1b2c3d4e5f60718293a4b5c6d7e8f9",
	}
	theirs = map[ports.SignalKind]string{
		ports.SignalSystemUUID:      "c3a1f00d-52b8-4e47-a0d2-9b8c7d6e5f41",
		ports.SignalBaseboardSerial: "PF2ABCDE",
		ports.SignalDiskSerial:      "WD-WCC4N0123456",
		ports.SignalOSMachineID:     "a9b8c7d6e5f40312213042536475869f",
	}
	placeholders = map[ports.SignalKind]string{
		ports.SignalSystemUUID:      "03000200-0400-0500-0006-000700080009",
		ports.SignalBaseboardSerial: "Default string",
		ports.SignalDiskSerial:      "QM00001",
		ports.SignalOSMachineID:     "uninitialized",
	}
	chance = identity.Chance{UID: [32]byte{1, 2, 3}, Salt: [16]byte{4, 5, 6}}
)

// What a signal can be today, against the enrollment.
const (
	same        = "same"
	differs     = "differs"
	absent      = "absent"
	unreadable  = "unreadable"
	placeholder = "placeholder"
	unrecorded  = "unrecorded" // there today, not at the enrollment
	there       = "there"      // where nothing was enrolled
)

var (
	states   = []string{same, differs, absent, unreadable, placeholder, unrecorded}
	hardware = []ports.SignalKind{ports.SignalSystemUUID, ports.SignalBaseboardSerial, ports.SignalDiskSerial}
)

var sources = []ports.IdentitySource{
	ports.SourceConfigured, ports.SourceSystemUUID, ports.SourceBaseboardDisk, ports.SourceMachineID, ports.SourceRandom,
}

func signal(kind ports.SignalKind, state string) ports.Signal {
	switch state {
	case same, unrecorded, there:
		return ports.PresentSignal(ours[kind])
	case differs:
		return ports.PresentSignal(theirs[kind])
	case unreadable:
		return ports.UnreadableSignal()
	case placeholder:
		return ports.PresentSignal(placeholders[kind])
	}
	return ports.Signal{}
}

func signals(uuid, board, disk, machineID string) ports.MachineSignals {
	return ports.MachineSignals{
		SystemUUID:      signal(ports.SignalSystemUUID, uuid),
		BaseboardSerial: signal(ports.SignalBaseboardSerial, board),
		DiskSerial:      signal(ports.SignalDiskSerial, disk),
		OSMachineID:     signal(ports.SignalOSMachineID, machineID),
	}
}

// record is our machine's, enrolled by source, without the hashes of the
// hardware signals that are unrecorded.
func record(t *testing.T, source ports.IdentitySource, uuid, board, disk string) *ports.Identity {
	t.Helper()
	decision := identity.Decide(nil, signals(same, same, same, same), configured, chance)
	enrolled, isNew := decision.(identity.New)
	if !isNew {
		t.Fatalf("enrolling with everything there: %#v", decision)
	}
	id := enrolled.Identity
	id.AgentID, id.MachineUID, id.Source = "agent", "muid_enrolled", source
	for i, state := range []string{uuid, board, disk} {
		if state == unrecorded {
			delete(id.Hashes, hardware[i])
		}
	}
	return &id
}

func word(t *testing.T, d identity.Decision) string {
	t.Helper()
	switch d := d.(type) {
	case identity.New:
		return string(d.Identity.Source)
	case identity.Keep:
		if d.Changed {
			return "changed"
		}
		return "keep"
	case identity.Repaired:
		return "repaired"
	case identity.Clone:
		return "CLONE"
	case identity.NeedsRights:
		return "rights:" + string(d.Signal)
	}
	t.Fatalf("unknown decision %#v", d)
	return ""
}

// everyCombination calls f for all that can be recorded and seen.
func everyCombination(t *testing.T, f func(name string, recorded *ports.Identity, today ports.MachineSignals)) {
	t.Helper()
	for _, uuid := range states {
		for _, board := range states {
			for _, disk := range states {
				for _, machineID := range states {
					today := signals(uuid, board, disk, machineID)
					for _, today.Virtual = range []bool{false, true} {
						f(fmt.Sprint("none ", uuid, board, disk, machineID, today.Virtual), nil, today)
						for _, source := range sources {
							f(fmt.Sprint(source, " ", uuid, board, disk, machineID, today.Virtual), record(t, source, uuid, board, disk), today)
						}
					}
				}
			}
		}
	}
}
