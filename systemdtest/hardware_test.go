//go:build systemd

package systemdtest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"
)

// giveHardware gives the machine firmware that says which machine it is, to
// root only, as real firmware does: an entry point and a table of SMBIOS 3
// (specification, 5.2.2 and 7.2).
func (s *service) giveHardware() {
	s.t.Helper()
	table := []byte{1, 0x1b, 0, 0, 1, 2, 0, 0}                                      // system information; vendor, product
	table = append(table, "\x9c\x1d\x2e\x7b\x5f\x4a\x3b\x4c\x9e\x8d\x1f\x2a"...)    // its UUID
	table = append(table, "\x3b\x4c\x5d\x6e\x06\x00\x00Acme\x00Desk 17\x00\x00"...) // …, power switch; the strings
	table = append(table, 127, 4, 1, 0, 0, 0)                                       // the end

	entry := append([]byte("_SM3_"), 0, 24, 3, 0, 0, 1, 0)
	entry = binary.LittleEndian.AppendUint32(entry, uint32(len(table)))
	entry = binary.LittleEndian.AppendUint64(entry, 0x1000)
	var sum byte
	for _, b := range entry {
		sum += b
	}
	entry[5] = -sum // so that the sum of all is 0

	// In a container the firmware would be the host's: the signs that this is
	// one are hidden.
	s.must(0, "rm", "-f", "/run/systemd/container", "/.dockerenv", "/run/.containerenv")
	s.must(0, "mount", "--bind", "/dev/null", "/proc/1/environ")
	const dir = "/sys/firmware/dmi/tables"
	s.must(0, "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/sys/firmware")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"smbios_entry_point": entry, "DMI": table} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o400); err != nil {
			s.t.Fatal(err)
		}
	}
}

// The agent may not read the firmware. The step before it may, and what that
// read reaches the agent even where it cannot be stored.
func TestHardwareThatOnlyRootMayRead(t *testing.T) {
	if !booted(t) {
		return
	}
	is := is.New(t)
	srv := startServer(t)
	s := newService(t).quick(quickestMin, quickestMax)
	s.giveHardware()
	s.must(0, "dpkg", "--force-unsafe-io", "-i", insidePrograms+"/muster.deb")
	s.must(1, "setpriv", "--reuid=muster", "--regid=muster", "--clear-groups", muster, "identify")
	s.ownDisk()
	s.fillDisk()
	s.atSite(srv).configure().start()
	l := s.triesInVain()
	s.tells("could not be written")
	s.freeDisk()
	s.is("connected")
	s.lives(l)
	is.Equal(s.status().Source, "smbios_uuid")
	srv.onlyMachine(1)

	s.must(0, "systemctl", "restart", unit)
	s.connected()
	is.Equal(s.status().Source, "smbios_uuid")
	srv.onlyMachine(1)
	is.Equal(srv.requests(enrollPath), 1)
}
