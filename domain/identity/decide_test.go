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
	got := b.String()
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
