package hwid

import (
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestFirmware(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	fw := parseFirmware(laptop(), 3, 2)
	is.Equal(fw.systemUUID, uuid26)
	is.Equal(fw.baseboardSerial, board)
	is.Equal(fw.dmi, dmi{product: "20XW", systemVendor: "LENOVO", boardVendor: "LENOVO", biosVendor: "LENOVO", bit: vmBitClear})
	is.True(!fw.dmi.virtual())
}

func TestByteOrderOfTheSystemUUID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		major, minor int
		want         string
	}{
		{2, 0, uuid24},
		{2, 4, uuid24},
		{2, 5, uuid24},
		{2, 6, uuid26},
		{2, 8, uuid26},
		{3, 0, uuid26},
		{3, 7, uuid26},
		{2, 31, uuid24},
		{2, 33, uuid24},
		{2, 51, uuid26}, // 2.3, 2.3 and 2.6, as firmware misspells them
	} {
		if got := parseFirmware(laptop(), c.major, c.minor).systemUUID; got != c.want {
			t.Errorf("SMBIOS %d.%d: %s, want %s", c.major, c.minor, got, c.want)
		}
	}
}

func TestFirmwareWithoutValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		table []byte
		want  firmware
	}{
		{"nothing", nil, firmware{}},
		{"an end", encode(endOfTable), firmware{}},
		{"structures that are too short for the fields", encode(structure{kind: structBIOS}, structure{kind: structSystem, fields: []byte{0, 0, 0, 0}}, structure{kind: structBaseboard, fields: []byte{0}}, endOfTable), firmware{}},
		{"numbers of strings that are not there", encode(structure{structBaseboard, []byte{9, 0, 0, 3}, []string{"a", "b"}}, endOfTable), firmware{}},
		{"a blank UUID is passed on", encode(structure{structSystem, make([]byte, 0x19-headerLength), nil}, endOfTable), firmware{systemUUID: "00000000-0000-0000-0000-000000000000"}},
		{"no BIOS extension, no bit", encode(structure{structBIOS, make([]byte, 0x12-headerLength), nil}, endOfTable), firmware{}},
	} {
		if got := parseFirmware(c.table, 3, 0); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestFirstOfSeveralStructuresCounts(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	table := encode(baseboard("Dell", "first"), baseboard("Dell", "second"), system("Dell", "C6420", wire), system("Dell", "C6420", [16]byte{1}), endOfTable)
	fw := parseFirmware(table, 2, 8)
	is.Equal(fw.baseboardSerial, "first")
	is.Equal(fw.systemUUID, uuid26)
}

// What comes before the damage counts, and nothing of it is made up.
func TestDamagedFirmware(t *testing.T) {
	t.Parallel()
	sound := encode(bios("LENOVO", 0), system("LENOVO", "20XW", wire), baseboard("LENOVO", board))
	whole := parseFirmware(sound, 3, 2)
	if whole != parseFirmware(laptop(), 3, 2) {
		t.Error("no end of the table: not the same")
	}
	for name, rest := range map[string][]byte{
		"zeros behind it":                   make([]byte, 100),
		"Fs behind it":                      []byte(strings.Repeat("\xff", 100)),
		"a structure shorter than a header": append([]byte{4, 3, 0, 0}, laptop()...),
		"a header that is cut":              {4},
		"the longest structure, cut":        {4, 0xff, 0, 0},
		"strings that are cut":              {4, 4, 0, 0, 'a', 'b'},
	} {
		if got := parseFirmware(append(sound[:len(sound):len(sound)], rest...), 3, 2); got != whole {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for size := range sound {
		got := parseFirmware(sound[:size], 3, 2)
		if got.systemUUID != "" && got.systemUUID != uuid26 || got.baseboardSerial != "" {
			t.Errorf("cut at %d: %+v", size, got)
		}
	}
}

func FuzzFirmware(f *testing.F) {
	f.Add(laptop(), 3, 2)
	f.Add(laptop()[:40], 2, 4)
	f.Add(make([]byte, 64), 2, 6)
	f.Add([]byte{2, 0xff, 0, 0, 1, 1, 1, 1}, 2, 6)
	f.Fuzz(func(t *testing.T, table []byte, major, minor int) {
		fw := parseFirmware(table, major, minor)
		if n := len(fw.systemUUID); n != 0 && n != 36 {
			t.Errorf("a UUID of %d characters", n)
		}
		if !strings.Contains(string(table), fw.baseboardSerial) {
			t.Error("a serial that is not in the table")
		}
		// Whatever comes behind the end of a table says nothing.
		if ended := append(laptop(), table...); parseFirmware(ended, 3, 2) != parseFirmware(laptop(), 3, 2) {
			t.Error("read on behind the end of the table")
		}
	})
}

func TestVirtualByFirmware(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		dmi  dmi
		want bool
	}{
		{"notebook", dmi{systemVendor: "LENOVO", product: "20XW", biosVendor: "LENOVO"}, false},
		{"nothing", dmi{}, false},
		{"QEMU", dmi{systemVendor: "QEMU", product: "Standard PC (Q35 + ICH9, 2009)"}, true},
		{"KVM under a provider's name", dmi{systemVendor: "Red Hat", product: "KVM"}, true},
		{"VMware", dmi{systemVendor: "VMware, Inc.", product: "VMware20,1"}, true},
		{"VirtualBox", dmi{systemVendor: "innotek GmbH", product: "VirtualBox"}, true},
		{"Xen", dmi{systemVendor: "Xen", product: "HVM domU"}, true},
		{"Bochs", dmi{biosVendor: "Bochs"}, true},
		{"Parallels", dmi{systemVendor: "Parallels Software International Inc."}, true},
		{"bhyve", dmi{biosVendor: "BHYVE"}, true},
		{"Hyper-V", dmi{systemVendor: "Microsoft Corporation", product: "Virtual Machine"}, true},
		{"Hyper-V by its version", dmi{productVersion: "Hyper-V UEFI Release v4.1"}, true},
		{"Surface", dmi{systemVendor: "Microsoft Corporation", product: "Surface Laptop 5"}, false},
		{"Google", dmi{systemVendor: "Google", product: "Google Compute Engine"}, true},
		{"Chromebook", dmi{systemVendor: "Google", product: "Eve"}, false},
		{"OpenStack", dmi{systemVendor: "OpenStack Foundation", product: "OpenStack Nova"}, true},
		{"DigitalOcean", dmi{systemVendor: "DigitalOcean", product: "Droplet"}, true},
		{"Hetzner", dmi{systemVendor: "Hetzner", product: "vServer"}, true},
		{"Amazon", dmi{systemVendor: "Amazon EC2", product: "m5.large"}, true},
		{"Amazon, bit set", dmi{systemVendor: "Amazon EC2", product: "m5.large", bit: vmBitSet}, true},
		{"Amazon hardware", dmi{systemVendor: "Amazon EC2", product: "m5.metal"}, false},
		{"Amazon hardware, sized", dmi{systemVendor: "Amazon EC2", product: "c7g.metal-48xl"}, false},
		{"Amazon hardware, bit clear", dmi{systemVendor: "Amazon EC2", product: "any", bit: vmBitClear}, false},
		{"unknown hypervisor that sets the bit", dmi{systemVendor: "ACME", bit: vmBitSet}, true},
	} {
		if got := c.dmi.virtual(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	fw := parseFirmware(encode(bios("ACME", virtualMachineBit|1<<3), endOfTable), 2, 8)
	if !fw.dmi.virtual() {
		t.Error("the bit in a table is not seen")
	}
}
