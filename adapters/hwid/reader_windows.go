package hwid

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// Reader reads the signals of a Windows machine, by what its fields ask. An
// error of kind [fs.ErrPermission] means that this process may not know.
type Reader struct {
	// Firmware is the SMBIOS tables as Windows hands them out: a structure
	// RawSMBIOSData.
	Firmware func() ([]byte, error)
	// DiskSerials are those of the disks that hold the system volume, as they
	// stand; empty for a disk without one.
	DiskSerials func() ([]string, error)
	// MachineGUID is what the installation of Windows is known by.
	MachineGUID func() (string, error)
	// InContainer: this is a Windows container, which sees its host's hardware.
	InContainer func() bool
}

// New returns a reader of this machine; its parameter is of no meaning here.
func New(string) *Reader {
	return &Reader{Firmware: firmwareTable, DiskSerials: diskSerials, MachineGUID: machineGUID, InContainer: inContainer}
}

// Read implements [ports.SignalReader]. In a container it reads MachineGuid
// alone. A virtual machine is told by its firmware only: what the processor
// says is the same on hardware whose Windows runs on its own hypervisor.
//
// What is asked answers at once but for a device that hangs; then Read returns
// when ctx or its 5 s are over and leaves the question behind.
func (r *Reader) Read(ctx context.Context) (ports.MachineSignals, error) {
	return bounded(ctx, r.signals)
}

func (r *Reader) signals() ports.MachineSignals {
	s := ports.MachineSignals{OSMachineID: signalOf(r.MachineGUID()), Container: r.InContainer()}
	if s.Container {
		return s
	}
	table, err := r.Firmware()
	fw := parseRaw(table)
	s.SystemUUID, s.BaseboardSerial = signalOf(fw.systemUUID, err), signalOf(fw.baseboardSerial, err)
	s.Virtual = fw.dmi.virtual()
	serials, err := r.DiskSerials()
	serials = slices.DeleteFunc(serials, func(serial string) bool { return serial == "" })
	if err != nil || len(serials) == 0 {
		s.DiskSerial = signalOf("", err)
	} else {
		// Of several the first in the order of their bytes, as on Linux.
		s.DiskSerial = ports.PresentSignal(slices.Min(serials))
	}
	return s
}

// signalOf is what was read. Besides a lack of rights all that can fail means
// that there is none.
func signalOf(value string, err error) ports.Signal {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ports.UnreadableSignal()
	case err != nil:
		return ports.Signal{}
	}
	return ports.PresentSignal(value)
}
