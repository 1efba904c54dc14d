package hwid

// structure is one of an SMBIOS table. Its strings are not empty, and their
// numbers in its fields are the caller's to keep right.
type structure struct {
	kind    byte
	fields  []byte // after the header
	strings []string
}

// encode writes a structure as section 6.1 of the specification says.
func (s structure) encode() []byte {
	b := []byte{s.kind, byte(headerLength + len(s.fields)), 0, 0}
	b = append(b, s.fields...)
	for _, text := range s.strings {
		b = append(append(b, text...), 0)
	}
	if len(s.strings) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

func encode(structures ...structure) []byte {
	var table []byte
	for _, s := range structures {
		table = append(table, s.encode()...)
	}
	return table
}

// wire is the UUID of these tests as bytes stand in a table of SMBIOS 2.6 and
// later; uuid26 is its text, uuid24 that of the same bytes in older tables.
var wire = [16]byte{0x9c, 0x1d, 0x2e, 0x7b, 0x5f, 0x4a, 0x3b, 0x4c, 0x9e, 0x8d, 0x1f, 0x2a, 0x3b, 0x4c, 0x5d, 0x6e}

const (
	uuid26 = "7b2e1d9c-4a5f-4c3b-9e8d-1f2a3b4c5d6e"
	uuid24 = "9c1d2e7b-5f4a-3b4c-9e8d-1f2a3b4c5d6e"
	board  = "/7QA2MF9/CN1296319N0/"
)

// bios is type 0 of SMBIOS 2.4 and later: 0x18 bytes.
func bios(vendor string, extension2 byte) structure {
	fields := make([]byte, 0x18-headerLength)
	fields[biosVendor-headerLength] = 1
	fields[biosExtension2-headerLength] = extension2
	return structure{structBIOS, fields, []string{vendor, "1.0"}}
}

// system is type 1 of SMBIOS 2.4 and later: 0x1b bytes.
func system(vendor, product string, uuid [16]byte) structure {
	fields := make([]byte, 0x1b-headerLength)
	fields[systemVendor-headerLength] = 1
	fields[systemProduct-headerLength] = 2
	fields[systemVersion-headerLength] = 0
	copy(fields[systemUUID-headerLength:], uuid[:])
	return structure{structSystem, fields, []string{vendor, product}}
}

// baseboard is type 2, as short as the specification allows: 8 bytes.
func baseboard(vendor, serial string) structure {
	return structure{structBaseboard, []byte{1, 0, 0, 2}, []string{vendor, serial}}
}

var endOfTable = structure{kind: structEndOfList}

func laptop() []byte {
	return encode(bios("LENOVO", 0), system("LENOVO", "20XW", wire), baseboard("LENOVO", board), endOfTable)
}
