package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muster-agent/muster/adapters/hwid"
	"github.com/muster-agent/muster/ports"
)

// machineOf is a machine as Linux shows it: the table and its entry point.
func machineOf(t *testing.T, firmware table, disk, machineID string) ports.SignalReader {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"sys/firmware/dmi/tables/smbios_entry_point": string(entryPoint(firmware)),
		"sys/firmware/dmi/tables/DMI":                string(firmware.structures),
		"etc/machine-id":                             machineID + "\n",
		"proc/self/mountinfo":                        "22 1 254:0 / / rw - ext4 /dev/vda rw\n",
		"sys/dev/block/254:0/serial":                 disk,
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return hwid.New(root)
}

// entryPoint is that of SMBIOS 2 (5.2.1) or 3 (5.2.2).
func entryPoint(firmware table) []byte {
	var b []byte
	checksum := 4
	if firmware.major < 3 {
		b = make([]byte, 0x1f)
		copy(b, "_SM_")
		b[5], b[6], b[7] = 0x1f, firmware.major, firmware.minor
		copy(b[16:], "_DMI_")
		binary.LittleEndian.PutUint16(b[22:], uint16(len(firmware.structures)))
	} else {
		b = make([]byte, 0x18)
		copy(b, "_SM3_")
		b[6], b[7], b[8], b[10] = 0x18, firmware.major, firmware.minor, 1
		binary.LittleEndian.PutUint32(b[12:], uint32(len(firmware.structures)))
		checksum = 5
	}
	var sum byte
	for _, x := range b {
		sum += x
	}
	b[checksum] = -sum
	return b
}

// pty is a pseudo-terminal: its program's end, and what a person sees of it.
func pty(t *testing.T) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() }) // it has been read
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() }) // nothing more is written
	return program, person
}
