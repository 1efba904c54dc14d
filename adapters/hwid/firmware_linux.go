package hwid

import (
	"bytes"
	"errors"
	"io/fs"

	"github.com/digitalocean/go-smbios/smbios"

	"github.com/muster-agent/muster/ports"
)

const (
	rawFirmware = "sys/firmware/dmi/tables/"
	dmiID       = "sys/class/dmi/id/"
)

// firmware reads the SMBIOS tables. Values that it does not get there it takes
// from what the kernel has read from the same tables.
func (t tree) firmware() (systemUUID, baseboardSerial ports.Signal, d dmi) {
	fw, err := t.firmwareTable()
	denied := errors.Is(err, fs.ErrPermission)
	value := func(raw, name string) ports.Signal {
		if raw != "" {
			return ports.PresentSignal(raw)
		}
		signal := t.signal(dmiID + name)
		// The kernel leaves out values that the table does not have, such as a
		// blank UUID. Only where it shows no values at all is this one unknown.
		if signal == (ports.Signal{}) && denied && !t.exists(dmiID[:len(dmiID)-1]) {
			return ports.UnreadableSignal()
		}
		return signal
	}
	if err != nil {
		fw.dmi = dmi{
			product:        t.text(dmiID + "product_name"),
			systemVendor:   t.text(dmiID + "sys_vendor"),
			boardVendor:    t.text(dmiID + "board_vendor"),
			biosVendor:     t.text(dmiID + "bios_vendor"),
			productVersion: t.text(dmiID + "product_version"),
		}
	}
	return value(fw.systemUUID, "product_uuid"), value(fw.baseboardSerial, "board_serial"), fw.dmi
}

// firmwareTable reads the raw table (since Linux 4.2, root only).
func (t tree) firmwareTable() (firmware, error) {
	entry, err := t.read(rawFirmware+"smbios_entry_point", maxText)
	if err != nil {
		return firmware{}, err
	}
	// SMBIOS 2.1 had the entry point's length wrong by one, and some firmware
	// still has; the library wants the full length. An additional zero does not
	// change the checksum.
	point, err := smbios.ParseEntryPoint(bytes.NewReader(append(entry, 0)))
	if err != nil {
		return firmware{}, err
	}
	table, err := t.read(rawFirmware+"DMI", maxTable)
	if err != nil {
		return firmware{}, err
	}
	major, minor, _ := point.Version()
	return parseFirmware(table, major, minor), nil
}
