package hwid

import (
	"encoding/binary"
	"fmt"

	"github.com/digitalocean/go-smbios/smbios"
)

// firmware is what an SMBIOS structure table says, strings as they stand.
type firmware struct {
	systemUUID      string // in the text form of RFC 9562, all zeros and all Fs too; empty if there is none
	baseboardSerial string
	dmi             dmi
}

// The structures of the SMBIOS specification (DMTF DSP0134) that are read,
// and where their fields are, counted from the structure's start.
const (
	structBIOS      = 0 // 7.1
	structSystem    = 1 // 7.2
	structBaseboard = 2 // 7.3

	biosVendor      = 0x04
	biosExtension2  = 0x13
	systemVendor    = 0x04
	systemProduct   = 0x05
	systemVersion   = 0x06
	systemUUID      = 0x08
	baseboardVendor = 0x04
	baseboardSerial = 0x07

	virtualMachineBit = 1 << 4 // of biosExtension2
)

// parseFirmware reads a structure table, as far as it is sound. major and
// minor are the version that its entry point names.
//
// It depends on nothing else, so that a machine has the same values under every
// operating system. Of several structures of a type the first counts, as in the
// kernel.
func parseFirmware(table []byte, major, minor int) firmware {
	var fw firmware
	var seen [structBaseboard + 1]bool
	for _, s := range structures(table) {
		if s.Header.Type > structBaseboard || seen[s.Header.Type] {
			continue
		}
		seen[s.Header.Type] = true
		switch s.Header.Type {
		case structBIOS:
			fw.dmi.biosVendor = text(s, biosVendor)
			if b := field(s, biosExtension2, 1); b != nil {
				fw.dmi.bit = vmBitClear
				if b[0]&virtualMachineBit != 0 {
					fw.dmi.bit = vmBitSet
				}
			}
		case structSystem:
			fw.dmi.systemVendor = text(s, systemVendor)
			fw.dmi.product = text(s, systemProduct)
			fw.dmi.productVersion = text(s, systemVersion)
			if b := field(s, systemUUID, 16); b != nil {
				fw.systemUUID = uuidText(b, major, minor)
			}
		case structBaseboard:
			fw.dmi.boardVendor = text(s, baseboardVendor)
			fw.baseboardSerial = text(s, baseboardSerial)
		}
	}
	return fw
}

// field is size bytes at offset; nil if the structure is shorter.
func field(s *smbios.Structure, offset, size int) []byte {
	offset -= headerLength // which Formatted leaves out
	if len(s.Formatted) < offset+size {
		return nil
	}
	return s.Formatted[offset : offset+size]
}

// text is the string whose number is at offset; empty if there is none.
func text(s *smbios.Structure, offset int) string {
	b := field(s, offset, 1)
	if b == nil || b[0] == 0 || int(b[0]) > len(s.Strings) {
		return ""
	}
	return s.Strings[b[0]-1]
}

// uuidText reads a UUID as Linux does for product_uuid and dmidecode does:
// since SMBIOS 2.6 (7.2.1) its first three fields are little-endian; before
// it, the bytes stand in the order of the text. Versions 2.31 and 2.33 are
// what some firmware calls 2.3 (drivers/firmware/dmi_scan.c).
func uuidText(b []byte, major, minor int) string {
	if major == 2 && (minor == 31 || minor == 33) {
		minor = 3
	}
	var order binary.ByteOrder = binary.BigEndian
	if major > 2 || major == 2 && minor >= 6 {
		order = binary.LittleEndian
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", order.Uint32(b), order.Uint16(b[4:]), order.Uint16(b[6:]), b[8:10], b[10:16])
}
