//go:build linux || windows

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

// table is what the firmware of a machine hands to the system: SMBIOS
// structures (DMTF DSP0134) and the version that its entry point names.
type table struct {
	major, minor byte
	structures   []byte
}

// smbios writes a table as firmware of that version does: of types 0, 1 and 2
// the lengths that the version has, and an end.
func smbios(major, minor byte, vendor, product string, uuid [16]byte, board string) table {
	t := table{major: major, minor: minor}
	structure := func(kind byte, fields []byte, texts ...string) {
		t.structures = append(t.structures, kind, byte(4+len(fields)), kind, 0) // its type is a good handle too
		t.structures = append(t.structures, fields...)
		for _, text := range texts {
			t.structures = append(append(t.structures, text...), 0)
		}
		t.structures = append(t.structures, 0)
		if len(texts) == 0 {
			t.structures = append(t.structures, 0)
		}
	}
	bios := make([]byte, 0x18-4)
	if major > 3 || major == 3 && minor >= 1 {
		bios = make([]byte, 0x1a-4) // the extended ROM size
	}
	bios[0], bios[1], bios[4] = 1, 2, 3
	structure(0, bios, "American Megatrends Inc.", "F10", "03/14/2019")
	structure(1, slices.Concat([]byte{1, 2, 0, 3}, uuid[:], []byte{6, 0, 0}), vendor, product, board) // the system's serial: not a signal
	structure(2, []byte{1, 2, 0, 3, 0, 9, 0, 3, 0, 10, 0}, vendor, product, board)
	structure(127, nil)
	return t
}

// TestTheSameFirmwareIsTheSameMachine shows that a machine is the same one by
// Linux and by Windows: this test runs on both, over the same tables, and wants
// the same uids. Each was computed from the signal that is named, by
//
//	printf 'muster machine_uid v1\000SOURCE\000VALUE\000VALUE' | sha256sum
func TestTheSameFirmwareIsTheSameMachine(t *testing.T) {
	t.Parallel()
	const (
		disk    = "S3Z9NB0K123456A"
		byUUID  = ports.SourceSystemUUID
		byBoard = ports.SourceBaseboardDisk
		// 7B2E1D9C-4A5F-4C3B-9E8D-1F2A3B4C5D6E, and the same bytes in the order
		// before SMBIOS 2.6: 9C1D2E7B-5F4A-3B4C-9E8D-1F2A3B4C5D6E
		since26, before26 = "muid_b1e5887189609f990c01ee61f5405110c88512ab39e0f0bb264b0fd9eede536d", "muid_20572d60ba77d82352a5c92b4d9b23094c23ae2b443415e7100f35cee0bc6ac1"
		board             = "muid_c695ad40ce63ca920ac7298ca4ea5b043954d2350283b1f2f640e421ba098237" // /7QA2MF9/CN1296319N0/ and the disk's
		spaced            = "muid_5422ce00328104e79e6efadd2b9173f6a54bbe3c84c2fecbcb52034f8b665c7e" // PF2ABCDE and the disk's
		machineID         = "muid_97972531a8380dec0c1ca4907e645e247403daf6a8a799ebdbcc0ad230312905" // 5F1B2C3D4E5F60718293A4B5C6D7E8F9
	)
	wire := [16]byte{0x9c, 0x1d, 0x2e, 0x7b, 0x5f, 0x4a, 0x3b, 0x4c, 0x9e, 0x8d, 0x1f, 0x2a, 0x3b, 0x4c, 0x5d, 0x6e}
	var zeros, ones [16]byte
	for i := range ones {
		ones[i] = 0xff
	}
	// 03000200-0400-0500-0006-000700080009, as since 2.6.
	counting := [16]byte{0x00, 0x02, 0x00, 0x03, 0x00, 0x04, 0x00, 0x05, 0x00, 0x06, 0x00, 0x07, 0x00, 0x08, 0x00, 0x09}
	const dell = "/7QA2MF9/CN1296319N0/"
	virtual := smbios(2, 8, "QEMU", "Standard PC (Q35 + ICH9, 2009)", wire, "")
	cut := smbios(2, 7, "LENOVO", "20XW", wire, dell)
	cut.structures = cut.structures[:len(cut.structures)-len("\x7f\x04\x7f\x00\x00\x00")]
	for name, c := range map[string]struct {
		table  table
		source ports.IdentitySource
		uid    string
	}{
		"2.4":                       {smbios(2, 4, "Dell Inc.", "OptiPlex 745", wire, dell), byUUID, before26},
		"2.5":                       {smbios(2, 5, "Dell Inc.", "OptiPlex 760", wire, dell), byUUID, before26},
		"2.6":                       {smbios(2, 6, "Hewlett-Packard", "HP Compaq 8000 Elite", wire, dell), byUUID, since26},
		"2.7 without an end":        {cut, byUUID, since26},
		"3.0":                       {smbios(3, 0, "Supermicro", "SYS-5019S-M", wire, dell), byUUID, since26},
		"3.2":                       {smbios(3, 2, "LENOVO", "20XW", wire, dell), byUUID, since26},
		"3.7":                       {smbios(3, 7, "Framework", "Laptop 13", wire, dell), byUUID, since26},
		"2.3 that says 2.31":        {smbios(2, 31, "ASUSTeK", "P5B", wire, dell), byUUID, before26},
		"2.8, virtual":              {virtual, byUUID, since26},
		"3.0, blank UUID":           {smbios(3, 0, "To Be Filled By O.E.M.", "To Be Filled By O.E.M.", zeros, dell), byBoard, board},
		"2.4, unset UUID":           {smbios(2, 4, "System manufacturer", "System Product Name", ones, dell), byBoard, board},
		"3.1, counting UUID":        {smbios(3, 1, "Gigabyte Technology Co., Ltd.", "B450M DS3H", counting, dell), byBoard, board},
		"2.7, spaces in the serial": {smbios(2, 7, "LENOVO", "3209", zeros, "  pf2abcde\t "), byBoard, spaced},
		"3.0, nothing filled":       {smbios(3, 0, "To Be Filled By O.E.M.", "To Be Filled By O.E.M.", counting, "To Be Filled By O.E.M."), ports.SourceMachineID, machineID},
		"2.6, default strings":      {smbios(2, 6, "Default string", "Default string", ones, "Default string"), ports.SourceMachineID, machineID},
		"none":                      {table{major: 2, minor: 6}, ports.SourceMachineID, machineID},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			signals, err := machineOf(t, c.table, disk, "5f1b2c3d4e5f60718293a4b5c6d7e8f9").Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if signals.Virtual != (name == "2.8, virtual") {
				t.Errorf("virtual: %v", signals.Virtual)
			}
			got, isNew := identity.Decide(nil, signals, "", identity.Chance{}).(identity.New)
			if !isNew || got.Identity.MachineUID != c.uid || got.Identity.Source != c.source {
				t.Errorf("%s by %s, want %s by %s", got.Identity.MachineUID, got.Identity.Source, c.uid, c.source)
			}
		})
	}
}
