package identity

import (
	"strings"
	"unicode"

	"github.com/muster-agent/muster/ports"
)

// Placeholder reports whether a normalised signal says nothing about its
// machine: a value that a vendor or a hypervisor puts where no real one was
// given, and that many machines therefore share. An empty value is one.
//
// A real value taken for a placeholder costs a stronger signal; a placeholder
// taken for a real value makes one machine of many. So each rule is as wide
// as chance allows: none meets a random serial of 8 digits more often than
// once in ten million.
func Placeholder(kind ports.SignalKind, value string) bool {
	bare := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, value)
	for _, row := range placeholders {
		if (row.kind == anyKind || row.kind == kind) && row.matches(bare, row.text) {
			return true
		}
	}
	return false
}

// placeholder is one row of the table: matches is asked with a value's
// letters and digits (separators are ignored) and the row's text.
type placeholder struct {
	kind    ports.SignalKind
	matches func(bare, text string) bool
	text    string
}

const anyKind ports.SignalKind = ""

// The table. Where a row names no vendor it is in the exclusion lists of GLPI
// and FusionInventory ("GLPI"), FOG or FreeBSD's rc.d/hostid, which collect
// what inventories found on more than one machine.
var placeholders = []placeholder{
	// Shapes, whatever the signal.
	{anyKind, short, ""},        // "0", "1", "2", "OEM", "N/A", "TBD"; "............", "-"
	{anyKind, oneCharacter, ""}, // all zeros, all Fs, "XXXXXXXX", "NNNNNNN", "1111111"
	{anyKind, repetition, ""},   // FEFEFEFE-FEFE-…, 01010101-…, 58585858-…, 12345678-1234-5678-1234-567812345678
	{anyKind, lastOnly, ""},     // 00000000000000000001: VMware's SATA disks, USB bridges
	{anyKind, counting, ""},     // 0123456789, 123456789, 12345678901234567; SYS-1234567890, MB-1234567890, BSN12345678901234567

	// Phrases.
	{anyKind, strings.HasPrefix, "TOBEFILLED"},       // "To Be Filled By O.E.M.": AMI firmware, ASRock, Biostar
	{anyKind, strings.HasPrefix, "FILLEDBYOEM"},      // the same, cut
	{anyKind, strings.HasPrefix, "TOBESET"},          // "To Be Set By OEM": FOG
	{anyKind, strings.HasPrefix, "DEFAULTSTRING"},    // AMI firmware, Gigabyte, mini PCs
	{anyKind, strings.HasSuffix, "SERIALNUMBER"},     // System (ASUS), Base Board, Chassis, "Type2 - Board" (Insyde)
	{anyKind, strings.HasPrefix, "SERIALNUMBER"},     // "Serial Number xxxxxx": GLPI
	{anyKind, strings.HasPrefix, "SYSTEMSERIALNUM"},  // the same, cut at 16: GLPI
	{anyKind, strings.HasPrefix, "OEMSERIAL"},        // "OEM_Serial": GLPI
	{anyKind, strings.HasPrefix, "0123456789"},       // Supermicro, and with something after it
	{anyKind, strings.HasPrefix, "1234567890"},       // "123456789000": GLPI
	{anyKind, strings.HasPrefix, "SYS9876543210"},    // GLPI
	{anyKind, strings.HasPrefix, "SN123456FVGV3I0B"}, // "SN-123456fvgv3i0b8o5n6n7k": GLPI
	{anyKind, equal, "SN12345"},                      // GLPI
	{anyKind, equal, "NONE"},                         // VMware, Intel boards
	{anyKind, equal, "NULL"},                         // drivers that print a missing string
	{anyKind, equal, "NULLSTRING"},                   // "(null string)": GLPI
	{anyKind, equal, "EMPTY"},                        // GLPI
	{anyKind, equal, "UNKNOWN"},                      // many
	{anyKind, equal, "UNKNOW"},                       // GLPI
	{anyKind, equal, "UNDEFINED"},                    // many
	{anyKind, equal, "UNSPECIFIED"},                  // many
	{anyKind, equal, "INVALID"},                      // GLPI
	{anyKind, equal, "DEFAULT"},                      // many
	{anyKind, equal, "SERIAL"},                       // many
	{anyKind, equal, "ENTERSERIAL"},                  // FOG
	{anyKind, equal, "NOTSPECIFIED"},                 // dmidecode and QEMU for an empty string
	{anyKind, equal, "NOTAPPLICABLE"},                // Intel NUC, FOG
	{anyKind, equal, "NOTAVAILABLE"},                 // FOG
	{anyKind, equal, "NOTPRESENT"},                   // dmidecode for a UUID of all Fs
	{anyKind, equal, "NOTSETTABLE"},                  // dmidecode for a UUID of all zeros
	{anyKind, equal, "NOTDEFINED"},                   // many
	{anyKind, equal, "NOTSET"},                       // many
	{anyKind, equal, "TBDBYOEM"},                     // Insyde: "TBD by OEM"
	{anyKind, equal, "EVAL"},                         // GLPI
	{anyKind, equal, "IATPASS"},                      // GLPI
	{anyKind, equal, "TULIPCOMPUTERS"},               // GLPI
	{anyKind, equal, "PCIE2"},                        // ".PCIE2": FOG
	{anyKind, equal, "DEADBEEF"},                     // QEMU command lines, copied

	// System UUIDs, in both byte orders: before SMBIOS 2.6 the same bytes
	// read differently.
	{ports.SignalSystemUUID, equalUUID, "03000200040005000006000700080009"}, // AMI's default: Gigabyte, ASRock, mini PCs
	{ports.SignalSystemUUID, equalUUID, "123456781234567890ABCDDEEFAABBCC"}, // Insyde's default: tablets, notebooks
	{ports.SignalSystemUUID, equalUUID, "00112233445566778899AABBCCDDEEFF"}, // the example of the SMBIOS specification, 7.2.1
	{ports.SignalSystemUUID, equalUUID, "000102030405060708090A0B0C0D0E0F"}, // counting bytes
	{ports.SignalSystemUUID, equalUUID, "0102030405060708090A0B0C0D0E0F10"}, // counting bytes
	{ports.SignalSystemUUID, equalUUID, "0123456789ABCDEF0123456789ABCDEF"}, // counting digits
	{ports.SignalSystemUUID, equalUUID, "11111111222233334444555555555555"}, // FreeBSD
	{ports.SignalSystemUUID, equalUUID, "07090201010303010807060504030201"}, // FreeBSD
	{ports.SignalSystemUUID, equalUUID, "890E2D14CACD45D1AE66BC80E8BFEB0F"}, // FreeBSD
	{ports.SignalSystemUUID, equalUUID, "8E275844178F44A8ACEBA7D7E5178C63"}, // FreeBSD
	{ports.SignalSystemUUID, equalUUID, "DC698397FA544CF282C8B1B5307A6A7F"}, // FreeBSD
	{ports.SignalSystemUUID, equalUUID, "6AB5B300538D10149FB5B0684D007B53"}, // GLPI
	{ports.SignalSystemUUID, equalUUID, "4C4C454400002010802080C04F202020"}, // Dell with a blank service tag
	{ports.SignalSystemUUID, strings.HasSuffix, "FFFFFFFFFFFFFFFFFFFFFFFF"}, // FFFFFF00-FFFF-FFFF-FFFF-FFFFFFFFFFFF: FOG, FreeBSD

	// What hypervisors call a disk that was given no serial.
	{ports.SignalDiskSerial, qemuDisk, ""},                        // QM00001: QEMU's IDE and SATA disks
	{ports.SignalDiskSerial, strings.HasPrefix, "DRIVE"},          // drive-scsi0: libvirt, Proxmox
	{ports.SignalDiskSerial, virtualBoxDisk, ""},                  // VB1a2b3c4d-5e6f7a8b
	{ports.SignalDiskSerial, strings.HasPrefix, "VMWARE"},         // "VMware NVME_0000"
	{ports.SignalDiskSerial, equal, "01000000000000000001"},       // VMware's second SATA disk
	{ports.SignalDiskSerial, strings.HasPrefix, "PERSISTENTDISK"}, // persistent-disk-0: Google
	{ports.SignalDiskSerial, strings.HasPrefix, "NVMECARD"},       // nvme_card-pd: Google
	{ports.SignalDiskSerial, equal, "SN000001"},                   // "SN: 000001": Azure's NVMe

	{ports.SignalOSMachineID, equal, "UNINITIALIZED"}, // machine-id(5): an image before its first boot
}

func equal(bare, text string) bool { return bare == text }

// equalUUID compares 32 hex digits in either byte order of the first three
// fields.
func equalUUID(bare, text string) bool {
	if len(bare) != 32 {
		return false
	}
	swapped := bare[6:8] + bare[4:6] + bare[2:4] + bare[:2] + bare[10:12] + bare[8:10] + bare[14:16] + bare[12:14] + bare[16:]
	return bare == text || swapped == text
}

// short: fewer than 4 letters and digits.
func short(bare, _ string) bool { return len(bare) < 4 }

// oneCharacter: the same one all over.
func oneCharacter(bare, _ string) bool {
	for _, first := range bare {
		return strings.Trim(bare, string(first)) == ""
	}
	return true
}

// repetition: in 12 characters or more, a unit of at most a quarter of the
// whole over and over.
func repetition(bare, _ string) bool {
	for unit := 2; len(bare) >= 12 && unit <= len(bare)/4; unit++ {
		if bare[unit:] == bare[:len(bare)-unit] {
			return true
		}
	}
	return false
}

// lastOnly: 8 characters or more, all zeros but the last.
func lastOnly(bare, _ string) bool {
	return len(bare) >= 8 && strings.Trim(bare[:len(bare)-1], "0") == ""
}

// counting: digits that count up from 0 or 1; after letters, 8 of them at the
// least.
func counting(bare, _ string) bool {
	digits := strings.TrimLeftFunc(bare, unicode.IsLetter)
	if digits == "" || len(digits) < len(bare) && len(digits) < 8 {
		return false
	}
	for i := range len(digits) {
		if digits[i] != '0'+(digits[0]-'0'+byte(i%10))%10 {
			return false
		}
	}
	return digits[0] == '0' || digits[0] == '1'
}

// qemuDisk: QM and at least 5 digits, the first a zero.
func qemuDisk(bare, _ string) bool {
	digits, found := strings.CutPrefix(bare, "QM0")
	return found && len(digits) >= 4 && strings.Trim(digits, "0123456789") == ""
}

// virtualBoxDisk: VB and twice 8 hex digits.
func virtualBoxDisk(bare, _ string) bool {
	digits, found := strings.CutPrefix(bare, "VB")
	return found && len(digits) == 16 && strings.Trim(digits, "0123456789ABCDEF") == ""
}
