package main

import (
	"bytes"
	"encoding/binary"
)

// The file's one section, which holds the export directory: where it lies in
// memory, and how long it is.
const (
	sectionAddress = 0x1000
	sectionSize    = 0x100
)

// randomnessDLL is bcryptprimitives.dll as far as Go asks for it: its one
// export, ProcessPrng, is forwarded to advapi32.SystemFunction036 (known as
// RtlGenRandom). Wine 8 has no such DLL, and without it no Go program starts.
// The layout is that of Microsoft's "PE Format": headers, then one section.
func randomnessDLL() []byte {
	le := binary.LittleEndian
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, le, v) // a bytes.Buffer takes everything
		}
	}

	dos := make([]byte, 0x40)
	copy(dos, "MZ")
	le.PutUint32(dos[0x3c:], uint32(len(dos))) // where the PE header is
	put(dos, []byte("PE\x00\x00"))
	put(uint16(0x8664), uint16(1), // x86-64, one section
		[3]uint32{},                  // no date, no symbols
		uint16(0xf0), uint16(0x2022)) // size of the optional header; a DLL
	put(uint16(0x20b), [14]byte{}, // PE32+; no code
		uint32(0), uint32(0), // no entry point
		uint64(0x180000000),           // base address
		uint32(0x1000), uint32(0x200), // alignment in memory, in the file
		[6]uint16{6, 0, 0, 0, 6, 0},   // versions: Windows Vista
		uint32(0),                     // reserved
		uint32(0x2000), uint32(0x200), // size of image, of headers
		uint32(0),                 // no checksum
		uint16(3), uint16(0x0100), // console; data is not executable
		[4]uint64{1 << 20, 1 << 12, 1 << 20, 1 << 12}, // stack and heap
		uint32(0), uint32(16), // sixteen directories, of which
		[2]uint32{sectionAddress, sectionSize}, // the first is the exports
		[15][2]uint32{})
	put([]byte(".edata\x00\x00"),
		uint32(sectionSize), uint32(sectionAddress), uint32(0x200), uint32(0x200),
		[3]uint32{}, uint32(0x40000040)) // initialized, readable

	file := make([]byte, 0x400)
	copy(file, b.Bytes())
	copy(file[0x200:], exports())
	return file
}

// exports is the export directory: its table, then the three arrays it names,
// then the texts.
func exports() []byte {
	const addresses, names, ordinals, module, name, target = 0x40, 0x48, 0x50, 0x60, 0x80, 0x90
	section := make([]byte, sectionSize)
	put := func(at int, v uint32) { binary.LittleEndian.PutUint32(section[at:], v) }
	put(0x0c, sectionAddress+module)
	put(0x10, 1) // the first ordinal
	put(0x14, 1) // functions
	put(0x18, 1) // names
	put(0x1c, sectionAddress+addresses)
	put(0x20, sectionAddress+names)
	put(0x24, sectionAddress+ordinals)
	put(addresses, sectionAddress+target) // inside this section: a forwarder
	put(names, sectionAddress+name)
	copy(section[module:], "bcryptprimitives.dll")
	copy(section[name:], "ProcessPrng")
	copy(section[target:], "advapi32.SystemFunction036")
	return section
}
