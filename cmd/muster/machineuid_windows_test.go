package main

import (
	"encoding/binary"
	"testing"

	"github.com/muster-agent/muster/adapters/hwid"
	"github.com/muster-agent/muster/ports"
)

// machineOf is a machine as Windows shows it: the table in RawSMBIOSData.
func machineOf(t *testing.T, firmware table, disk, machineGUID string) ports.SignalReader {
	t.Helper()
	raw := binary.LittleEndian.AppendUint32([]byte{0, firmware.major, firmware.minor, 0}, uint32(len(firmware.structures)))
	raw = append(raw, firmware.structures...)
	return &hwid.Reader{
		Firmware:    func() ([]byte, error) { return raw, nil },
		DiskSerials: func() ([]string, error) { return []string{disk}, nil },
		MachineGUID: func() (string, error) { return machineGUID, nil },
		InContainer: func() bool { return false },
	}
}
