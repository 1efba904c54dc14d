package identity_test

import (
	"testing"
	"unicode"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/identity"
	"github.com/muster-agent/muster/ports"
)

func TestNormalise(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	is.Equal(identity.Normalise("  wd-wcc4n0 \x00\x00\r\n"), "WD-WCC4N0")
	is.Equal(identity.Normalise("\x00ab\x00\tcd"), "ABCD")
	is.Equal(identity.Normalise(" S3Z9 NB0K "), "S3Z9 NB0K") // inside, a space is part of it
	is.Equal(identity.Normalise("\x00 \n"), "")
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   ports.SignalKind
		values []string
	}{
		{ports.SignalSystemUUID, []string{
			"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000001",
			"03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009",
			"12345678-1234-5678-90AB-CDDEEFAABBCC", "78563412-3412-7856-90AB-CDDEEFAABBCC",
			"FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE", "01010101-0101-0101-0101-010101010101", "12345678-1234-5678-1234-567812345678",
			"4c4c4544-0000-2010-8020-80c04f202020", "FFFFFF00-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "Not Settable", "Not Present",
		}},
		{ports.SignalBaseboardSerial, []string{
			"", "   ", "0", "1", "-", "OEM", "N/A", "............", "............................", "0000000000", "FFFFFFFF", "ff-FF-ff-FF",
			"XXXXXXXX", "xxxxxxxxxxx", "1111111", "None", "NONE ", "Not Applicable", "Not Specified", "Not Available", "Unknown", "Invalid", "Empty",
			"Default string", "Default", "To be filled by O.E.M.", "To Be Filled By O.E.M. by More String", "System Serial Number", "Serial Number",
			"Base Board Serial Number", "Chassis Serial Number", "Type2 - Board Serial Number", "SystemSerialNumb", "OEM_Serial", "(null string)",
			"0123456789", "0123456789ABCDEF", "123456789", "1234567890", "123456789000", "12345678901234567", "12345", "MB-1234567890", "SN-12345",
			"BSN12345678901234567", "SYS-9876543210", "无无无无",
		}},
		{ports.SignalDiskSerial, []string{
			"QM00001", "qm00013", "drive-scsi0", "drive-scsi0-0-0-0", "drive-virtio-disk0", "VB1a2b3c4d-5e6f7a8b", "VMware NVME_0000",
			"00000000000000000001", "01000000000000000001", "persistent-disk-0", "nvme_card-pd", "deadbeef", "SN: 000001",
		}},
		{ports.SignalOSMachineID, []string{"uninitialized", "00000000000000000000000000000000"}},
	} {
		for _, value := range c.values {
			if !identity.Placeholder(c.kind, identity.Normalise(value)) {
				t.Errorf("%s: %q passes for a real value", c.kind, value)
			}
		}
	}
}

func TestRealValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   ports.SignalKind
		values []string
	}{
		{ports.SignalSystemUUID, []string{
			"7b2e1d9c-4a5f-4c3b-9e8d-1f2a3b4c5d6e", "4C4C4544-0042-3510-8054-B7C04F4D3532", // Dell with a service tag
			"00000000-0000-0000-0000-AC1F6B123456", // Supermicro: made from the MAC address
			"78E7D1D8-2F5E-E011-AAD4-1C7508F2B4A1", "EC2A1B3C-4D5E-6F70-8192-A3B4C5D6E7F8",
		}},
		{ports.SignalBaseboardSerial, []string{
			"/7QA2MF9/CN1296319N0/", "PF2ABCDE", "MT7012345678901", "VM18S00412", "VB240017", "QM012", "..CN7082156.", "8212-4568-7254-1200-3311-0471-77",
			"BSS-0123A", "NM19BS012345", "2345678", "00000012",
		}},
		{ports.SignalDiskSerial, []string{
			"S3Z9NB0K123456A", "WD-WCC4N0123456", "VB0250EAVER", "VBXYZ", "VB12AB34CD", "QM123456", "QMXH0042", "Drv0012", "vol0a1b2c3d4e5f60718", "0x1234abcd", "50026B7682A1B2C3",
			"VM20190012",
		}},
		{ports.SignalOSMachineID, []string{"5f1b2c3d4e5f60718293a4b5c6d7e8f9"}},
	} {
		for _, value := range c.values {
			if identity.Placeholder(c.kind, identity.Normalise(value)) {
				t.Errorf("%s: %q is taken for a placeholder", c.kind, value)
			}
		}
	}
}

// FuzzNormalise: normalising is final, leaves nothing that could split or
// hide in a hash's input, and no value makes the placeholder table fail or
// depend on case.
func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{"", "None", " wd-123 \x00", "QM00001", "VB1a2b3c4d-5e6f7a8b", "\xff\xfe", "ŉǅß", "无无无无", "00000000-0000-0000-0000-000000000001"} {
		f.Add(seed)
	}
	kinds := []ports.SignalKind{ports.SignalSystemUUID, ports.SignalBaseboardSerial, ports.SignalDiskSerial, ports.SignalOSMachineID}
	f.Fuzz(func(t *testing.T, raw string) {
		value := identity.Normalise(raw)
		if again := identity.Normalise(value); again != value {
			t.Fatalf("normalised twice: %q, then %q", value, again)
		}
		for _, r := range value {
			if unicode.IsControl(r) {
				t.Fatalf("a control character is left in %q", value)
			}
		}
		for _, kind := range kinds {
			if !identity.Placeholder(kind, value) && value == "" {
				t.Fatal("an empty value passes for a real one")
			}
			if identity.Placeholder(kind, value) != identity.Placeholder(kind, identity.Normalise("\t"+raw+"\x00 \n")) {
				t.Fatalf("%q: what surrounds it matters", value)
			}
		}
	})
}
