package hwid

import (
	"bufio"
	"bytes"
	"slices"

	"github.com/digitalocean/go-smbios/smbios"
)

const (
	headerLength    = 4    // of a structure: type, length, handle (6.1.2)
	longestFormat   = 0xff // a structure's length without its strings is one byte
	structEndOfList = 127  // 7.45
)

// structures decodes a table up to its end, to where it is cut, or to the first
// structure whose length is less than its header's, since none can be found
// behind that. The kernel and dmidecode do the same, and firmware in the field
// needs it: there are tables without an end and with wrong lengths.
//
// The library returns nothing for a table without a sound end. So the table is
// followed by more ends than a cut structure can swallow; where the library
// stops nonetheless, it gets once more the part before that place.
func structures(table []byte) []*smbios.Structure {
	end := []byte{structEndOfList, headerLength, 0xff, 0xff, 0, 0}
	ends := bytes.Repeat(end, longestFormat/len(end)+4)
	for {
		source := bytes.NewReader(slices.Concat(table, ends))
		reader := bufio.NewReader(source) // used by the decoder as it is, so that Buffered tells where it stopped
		decoded, err := smbios.NewDecoder(reader).Decode()
		if err == nil {
			return within(decoded, len(table))
		}
		sound := int(source.Size()) - source.Len() - reader.Buffered() - headerLength
		if sound < 0 || sound >= len(table) {
			return nil
		}
		table = table[:sound]
	}
}

// within returns the structures that end in the first size bytes of their table.
func within(decoded []*smbios.Structure, size int) []*smbios.Structure {
	for i, s := range decoded {
		size -= int(s.Header.Length) + 1
		for _, text := range s.Strings {
			size -= len(text) + 1
		}
		if len(s.Strings) == 0 {
			size--
		}
		if size < 0 {
			return decoded[:i]
		}
	}
	return decoded
}
