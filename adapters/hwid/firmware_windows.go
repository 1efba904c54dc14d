package hwid

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/windows"
)

// rawHeader is RawSMBIOSData up to its table: a byte for the calling method,
// the major and the minor version, the DMI revision, then the table's length
// in four bytes.
const rawHeader = 8

// parseRaw reads a RawSMBIOSData; the result is empty if it is shorter than its
// header.
func parseRaw(raw []byte) firmware {
	if len(raw) < rawHeader {
		return firmware{}
	}
	table := raw[rawHeader:]
	length := binary.LittleEndian.Uint32(raw[4:])
	if uint64(length) < uint64(len(table)) {
		table = table[:length]
	}
	return parseFirmware(table, int(raw[1]), int(raw[2]))
}

// firmwareTable asks for the SMBIOS tables; every account may.
func firmwareTable() ([]byte, error) {
	const provider = 'R'<<24 | 'S'<<16 | 'M'<<8 | 'B'
	get := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemFirmwareTable")
	if err := get.Find(); err != nil {
		return nil, err
	}
	table := make([]byte, 64<<10) // as much as SMBIOS 2 allows
	for {
		size, _, err := get.Call(provider, 0, uintptr(unsafe.Pointer(&table[0])), uintptr(len(table)))
		switch {
		case size == 0:
			return nil, err
		case size <= uintptr(len(table)):
			return table[:size], nil
		case size > maxTable:
			return nil, windows.ERROR_INVALID_DATA
		}
		table = make([]byte, size)
	}
}

const maxTable = 1 << 20 // in bytes; tables in the field have 2 to 20 KiB
