package hwid

import (
	"context"
	"encoding/binary"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// files are a tree's, by path; a content that starts with "-> " is a symbolic
// link's target.
type files map[string]string

// with returns the files and others; "" takes one away.
func (f files) with(others files) files {
	all := files{}
	for _, part := range []files{f, others} {
		maps.Copy(all, part)
	}
	maps.DeleteFunc(all, func(_, content string) bool { return content == "" })
	return all
}

// plus returns the files and one more, which may be "".
func (f files) plus(name, content string) files {
	more := maps.Clone(f)
	more[name] = content
	return more
}

// write puts the files under a new directory.
func (f files) write(t testing.TB) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range f {
		name = filepath.Join(root, name)
		is.New(t).NoErr(os.MkdirAll(filepath.Dir(name), 0o755))
		var err error
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(content), 0o644)
		}
		is.New(t).NoErr(err)
	}
	return root
}

// forbidden is a file system that denies opening some of its files, as the
// kernel does; changing their mode would not, for root.
type forbidden struct {
	fs.ReadLinkFS
	names []string // what their paths start with
}

func (f forbidden) Open(name string) (fs.File, error) {
	for _, prefix := range f.names {
		if strings.HasPrefix(name, prefix) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
		}
	}
	return f.ReadLinkFS.Open(name)
}

// Stat asks no rights to the file itself.
func (f forbidden) Stat(name string) (fs.FileInfo, error) { return fs.Stat(f.ReadLinkFS, name) }

// reader is a reader of the files, which it may not all read.
func (f files) reader(t testing.TB, denied ...string) *Reader {
	t.Helper()
	reader := New(f.write(t))
	reader.tree.FS = forbidden{reader.tree.FS.(fs.ReadLinkFS), denied}
	return reader
}

func (f files) signals(t testing.TB, denied ...string) ports.MachineSignals {
	t.Helper()
	signals, err := f.reader(t, denied...).Read(context.Background())
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return signals
}

const (
	machineID = "5f1b2c3d4e5f60718293a4b5c6d7e8f9"
	disk      = "S3Z9NB0K123456A"

	raw     = "sys/firmware/dmi/tables/"
	id      = "sys/class/dmi/id/"
	nvme    = "sys/devices/pci0000:00/0000:00:1d.0/nvme/nvme0"
	mounted = "22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n23 22 0:21 / /proc rw - proc proc rw\n"
)

// notebook is hardware with everything: SMBIOS 3.2, an NVMe disk.
func notebook() files {
	return files{
		raw + "smbios_entry_point":            string(entryPoint30(2, len(laptop()))),
		raw + "DMI":                           string(laptop()),
		id + "product_uuid":                   uuid26 + "\n",
		id + "board_serial":                   board + "\n",
		id + "sys_vendor":                     "LENOVO\n",
		id + "product_name":                   "20XW\n",
		"etc/machine-id":                      machineID + "\n",
		"proc/self/mountinfo":                 mounted,
		"proc/cpuinfo":                        "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme sse2 vmx\n\n",
		"sys/dev/block/259:2":                 "-> ../../devices/pci0000:00/0000:00:1d.0/nvme/nvme0/nvme0n1/nvme0n1p2",
		nvme + "/serial":                      disk + "     \n",
		nvme + "/nvme0n1/dev":                 "259:0\n",
		nvme + "/nvme0n1/device":              "-> ../../nvme0",
		nvme + "/nvme0n1/nvme0n1p2/dev":       "259:2\n",
		nvme + "/nvme0n1/nvme0n1p2/partition": "2\n",
	}
}

// entryPoint21 is SMBIOS 2's entry point (5.2.1), of the given length: 0x1f,
// or 0x1e as version 2.1 had it.
func entryPoint21(major, minor, length byte, table int) []byte {
	b := make([]byte, length)
	copy(b, "_SM_")
	b[5], b[6], b[7] = length, major, minor
	copy(b[16:], "_DMI_")
	binary.LittleEndian.PutUint16(b[22:], uint16(table))
	b[4] = -sum(b)
	return b
}

// entryPoint30 is SMBIOS 3's entry point (5.2.2).
func entryPoint30(minor byte, table int) []byte {
	b := make([]byte, 0x18)
	copy(b, "_SM3_")
	b[6], b[7], b[8], b[10] = 0x18, 3, minor, 1
	binary.LittleEndian.PutUint32(b[12:], uint32(table))
	b[5] = -sum(b)
	return b
}

func sum(b []byte) (s byte) {
	for _, x := range b {
		s += x
	}
	return s
}
