package identity_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

var update = flag.Bool("update", false, "write testdata/decisions.golden anew")

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

// TestDecisionTable compares the decision for every combination with
// testdata/decisions.golden. What the table leaves out because it changes
// nothing (machine-id and a container where a record is, the kind of machine
// where none is) the tests below vary over all of the table.
func TestDecisionTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	table := func(title string, states []string, width int, decide func(uuid, board, disk string) identity.Decision) {
		fmt.Fprintf(&b, "%s\n\n%-13s%-13s", title, "system uuid", "baseboard")
		for _, disk := range states {
			fmt.Fprintf(&b, "%-*s", width, "disk "+disk)
		}
		b.WriteString("\n")
		for _, uuid := range states {
			for _, board := range states {
				fmt.Fprintf(&b, "%-13s%-13s", uuid, board)
				for _, disk := range states {
					fmt.Fprintf(&b, "%-*s", width, word(t, decide(uuid, board, disk)))
				}
				b.WriteString("\n")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("The decision for every combination of what is recorded and what is seen today.\n\n")
	for _, source := range sources {
		for _, virtual := range []bool{false, true} {
			title := fmt.Sprintf("== enrolled by %s, on hardware ==", source)
			if virtual {
				title = fmt.Sprintf("== enrolled by %s, in a virtual machine ==", source)
			}
			table(title, states, 18, func(uuid, board, disk string) identity.Decision {
				today := signals(uuid, board, disk, same)
				today.Virtual = virtual
				return identity.Decide(record(t, source, uuid, board, disk), today, "", chance)
			})
		}
	}
	for _, machineID := range []string{there, absent, unreadable, placeholder} {
		table("== not enrolled, machine-id "+machineID+" ==", []string{there, absent, unreadable, placeholder}, 25, func(uuid, board, disk string) identity.Decision {
			return identity.Decide(nil, signals(uuid, board, disk, machineID), "", chance)
		})
	}
	got := strings.ReplaceAll(b.String(), " \n", "\n")
	for strings.Contains(got, " \n") {
		got = strings.ReplaceAll(got, " \n", "\n")
	}

	golden := filepath.Join("testdata", "decisions.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	if len(gotLines) != len(wantLines) {
		t.Fatalf("%d lines, golden file %d; -update writes it", len(gotLines), len(wantLines))
	}
	for i, line := range gotLines {
		if line != wantLines[i] {
			t.Errorf("%s:%d\n got %s\nwant %s", golden, i+1, line, wantLines[i])
		}
	}
}

var sources = []ports.IdentitySource{
	ports.SourceConfigured, ports.SourceSystemUUID, ports.SourceBaseboardDisk, ports.SourceMachineID, ports.SourceRandom,
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

func TestMachineIDIsNeverEvidence(t *testing.T) {
	t.Parallel()
	everyCombination(t, func(name string, recorded *ports.Identity, today ports.MachineSignals) {
		if recorded == nil {
			return
		}
		want := word(t, identity.Decide(recorded, today, "", chance))
		today.OSMachineID = ports.PresentSignal(theirs[ports.SignalOSMachineID])
		if got := word(t, identity.Decide(recorded, today, "", chance)); got != want {
			t.Errorf("%s: %s, and %s with another machine-id", name, want, got)
		}
	})
}

func TestInAContainerTheHardwareIsNotOurs(t *testing.T) {
	t.Parallel()
	everyCombination(t, func(name string, recorded *ports.Identity, today ports.MachineSignals) {
		today.Container = true
		got := word(t, identity.Decide(recorded, today, "", chance))
		want := "keep"
		if recorded == nil {
			bare := ports.MachineSignals{OSMachineID: today.OSMachineID}
			want = word(t, identity.Decide(nil, bare, "", chance))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	})
}

func TestAConfiguredUIDDecidesAlone(t *testing.T) {
	t.Parallel()
	everyCombination(t, func(name string, recorded *ports.Identity, today ports.MachineSignals) {
		var got ports.Identity
		switch d := identity.Decide(recorded, today, configured, chance).(type) {
		case identity.New:
			got = d.Identity
			if recorded != nil {
				t.Errorf("%s: the record was ignored", name)
			}
		case identity.Keep:
			got = d.Identity
			if got.AgentID != "agent" || !d.Changed {
				t.Errorf("%s: agent id %q, changed %v", name, got.AgentID, d.Changed)
			}
			if again := identity.Decide(&got, today, configured, chance); !reflect.DeepEqual(again, identity.Keep{Identity: got}) {
				t.Errorf("%s: the second time %v", name, word(t, again))
			}
		default:
			t.Errorf("%s: %s", name, word(t, d))
		}
		if got.MachineUID != configured || got.Source != ports.SourceConfigured {
			t.Errorf("%s: %s from %s", name, got.MachineUID, got.Source)
		}
	})
}

// Whatever is decided: the kept uid is the enrolled one, and the decision is
// stable: made again from what the first one says to store, it is Keep.
func TestADecisionCarriedOutIsFinal(t *testing.T) {
	t.Parallel()
	everyCombination(t, func(name string, recorded *ports.Identity, today ports.MachineSignals) {
		decision := identity.Decide(recorded, today, "", chance)
		var stored ports.Identity
		switch d := decision.(type) {
		case identity.Clone:
			fresh := today
			fresh.OSMachineID = ports.Signal{}
			if want := identity.Decide(nil, fresh, "", chance); !reflect.DeepEqual(d.Self, want) {
				t.Errorf("%s: the clone is %s, want %s without its machine-id", name, word(t, d.Self), word(t, want))
			}
			self, isNew := d.Self.(identity.New)
			if !isNew {
				return
			}
			if self.Identity.MachineUID == recorded.MachineUID {
				t.Errorf("%s: a clone under the original's uid", name)
			}
			stored = self.Identity
		case identity.New:
			stored = d.Identity
		case identity.Keep:
			if !reflect.DeepEqual(d.Identity, *recorded) || d.Changed {
				t.Errorf("%s: kept, but changed", name)
			}
			return
		case identity.Repaired:
			if d.Identity.MachineUID != recorded.MachineUID || d.Identity.Source != recorded.Source || d.Identity.AgentID != recorded.AgentID {
				t.Errorf("%s: repaired into another machine", name)
			}
			stored = d.Identity
		case identity.NeedsRights:
			if recorded != nil {
				t.Errorf("%s: an enrolled machine needs no rights", name)
			}
			return
		}
		if again := word(t, identity.Decide(&stored, today, "", chance)); again != "keep" {
			t.Errorf("%s: %s, and the next time %s", name, word(t, decision), again)
		}
	})
}

// The sentences of the specification, one by one.
func TestNamedCases(t *testing.T) {
	t.Parallel()
	type change func(*ports.MachineSignals)
	virtual := func(s *ports.MachineSignals) { s.Virtual = true }
	uuid := func(state string) change {
		return func(s *ports.MachineSignals) { s.SystemUUID = signal(ports.SignalSystemUUID, state) }
	}
	board := func(state string) change {
		return func(s *ports.MachineSignals) { s.BaseboardSerial = signal(ports.SignalBaseboardSerial, state) }
	}
	disk := func(state string) change {
		return func(s *ports.MachineSignals) { s.DiskSerial = signal(ports.SignalDiskSerial, state) }
	}
	machineID := func(state string) change {
		return func(s *ports.MachineSignals) { s.OSMachineID = signal(ports.SignalOSMachineID, state) }
	}
	for _, c := range []struct {
		name    string
		source  ports.IdentitySource // "" for no record
		changes []change
		want    string
	}{
		{"first start", "", nil, "smbios_uuid"},
		{"first start without rights", "", []change{uuid(unreadable), board(unreadable)}, "rights:smbios_uuid"},
		{"first start, no UUID", "", []change{uuid(absent)}, "baseboard_disk"},
		{"first start, blank UUID, baseboard forbidden", "", []change{uuid(absent), board(unreadable)}, "rights:baseboard_serial"},
		{"first start, blank UUID, baseboard forbidden, no disk serial to go with it", "", []change{uuid(absent), board(unreadable), disk(placeholder)}, "machine_id"},
		{"first start, baseboard alone", "", []change{uuid(placeholder), disk(absent)}, "machine_id"},
		{"first start, nothing", "", []change{uuid(absent), board(absent), disk(absent), machineID(absent)}, "random"},
		{"restart", ports.SourceSystemUUID, nil, "keep"},
		{"restart without rights", ports.SourceSystemUUID, []change{uuid(unreadable), board(unreadable), disk(unreadable)}, "keep"},
		{"re-imaged", ports.SourceSystemUUID, []change{machineID(differs)}, "keep"},
		{"new disk", ports.SourceSystemUUID, []change{disk(differs)}, "keep"},
		{"new board, old disk", ports.SourceSystemUUID, []change{uuid(differs), board(differs)}, "repaired"},
		{"flashed UUID", ports.SourceSystemUUID, []change{uuid(differs), disk(differs)}, "repaired"},
		{"copied disk on another machine", ports.SourceSystemUUID, []change{uuid(differs), board(differs), disk(differs)}, "CLONE"},
		{"copied disk, the rest unreadable", ports.SourceSystemUUID, []change{uuid(differs), board(unreadable), disk(unreadable)}, "CLONE"},
		{"the UUID is blank now", ports.SourceSystemUUID, []change{uuid(placeholder), board(differs), disk(differs)}, "keep"},
		{"copied virtual machine", ports.SourceSystemUUID, []change{virtual, uuid(differs)}, "CLONE"},
		{"copied virtual machine, configured once", ports.SourceConfigured, []change{virtual, uuid(differs)}, "CLONE"},
		{"moved virtual machine", ports.SourceBaseboardDisk, []change{virtual, board(differs), disk(differs)}, "keep"},
		{"board and disk: new disk", ports.SourceBaseboardDisk, []change{uuid(unrecorded), disk(differs)}, "repaired"},
		{"board and disk: new board", ports.SourceBaseboardDisk, []change{uuid(absent), board(differs)}, "repaired"},
		{"board and disk: both others", ports.SourceBaseboardDisk, []change{uuid(absent), board(differs), disk(differs)}, "CLONE"},
		{"board and disk: both others under the same UUID", ports.SourceBaseboardDisk, []change{board(differs), disk(differs)}, "repaired"},
		{"board and disk: one other, one unreadable", ports.SourceBaseboardDisk, []change{uuid(absent), board(unreadable), disk(differs)}, "CLONE"},
		{"machine-id: all hardware others", ports.SourceMachineID, []change{uuid(differs), board(differs), disk(differs)}, "keep"},
		{"random: all hardware others", ports.SourceRandom, []change{uuid(differs), board(differs), disk(differs)}, "keep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			today := signals(same, same, same, same)
			for _, change := range c.changes {
				change(&today)
			}
			var recorded *ports.Identity
			if c.source != "" {
				recorded = record(t, c.source, same, same, same)
			}
			if got := word(t, identity.Decide(recorded, today, "", chance)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestNewIdentity(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	today := signals(same, same, placeholder, same)
	id := identity.Decide(nil, today, "", chance).(identity.New).Identity
	is.Equal(id.MachineUID, identity.MachineUID(ports.SourceSystemUUID, strings.ToUpper(ours[ports.SignalSystemUUID])))
	is.Equal(id.Salt, chance.Salt[:])
	is.Equal(len(id.Hashes), 3) // a placeholder is not kept
	// printf '\004\005\006\0\0\0\0\0\0\0\0\0\0\0\0\0baseboard_serial\0/7QA2MF9/CN1296319N0/' | sha256sum
	is.Equal(id.Hashes[ports.SignalBaseboardSerial], "6c37b6d6005aa6749d60d34ca4b5a842f3678ce9b72c2b626c050523708edb62")

	nothing := ports.MachineSignals{}
	random := identity.Decide(nil, nothing, "", chance).(identity.New).Identity
	other := identity.Decide(nil, nothing, "", identity.Chance{UID: [32]byte{9}}).(identity.New).Identity
	is.True(random.MachineUID != other.MachineUID) // chance alone tells them apart
}

func TestRepairedRecord(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	before := record(t, ports.SourceSystemUUID, same, same, unrecorded)
	kept := before.Hashes[ports.SignalBaseboardSerial]
	old := before.Hashes[ports.SignalSystemUUID]

	d := identity.Decide(before, signals(differs, same, unrecorded, absent), "", chance).(identity.Repaired)
	is.Equal(d.Differ, []ports.SignalKind{ports.SignalSystemUUID})
	is.Equal(d.Match, []ports.SignalKind{ports.SignalBaseboardSerial})
	is.True(d.Identity.Hashes[ports.SignalSystemUUID] != old)      // today's
	is.Equal(d.Identity.Hashes[ports.SignalBaseboardSerial], kept) // unchanged
	is.True(d.Identity.Hashes[ports.SignalDiskSerial] != "")       // new
	is.True(d.Identity.Hashes[ports.SignalOSMachineID] != "")      // not read today: kept
	is.Equal(before.Hashes[ports.SignalSystemUUID], old)           // the caller's record is untouched
	is.True(!slices.Contains(d.Match, ports.SignalDiskSerial))     // it was not recorded
	is.Equal(word(t, identity.Decide(before, signals(differs, same, differs, same), "", chance)), "repaired")
}

func TestNeedsRightsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	var err error = identity.Decide(nil, signals(unreadable, same, same, same), "", chance).(identity.NeedsRights)
	if text := err.Error(); !strings.Contains(text, "sudo muster identify --save") || !strings.Contains(text, "system UUID") {
		t.Error(text)
	}
}
