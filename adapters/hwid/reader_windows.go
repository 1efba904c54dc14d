package hwid

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/muster-agent/muster/ports"
)

// Reader reads the signals of a Windows machine. Its fields are the questions that
// it asks; an error of kind [fs.ErrPermission] means that this process may not
// know the answer.
type Reader struct {
	// Firmware is the SMBIOS tables as Windows hands them out: a structure
	// RawSMBIOSData.
	Firmware func() ([]byte, error)
	// DiskSerials are the serials of the disks that hold the system volume, as
	// they stand; empty for a disk without one.
	DiskSerials func() ([]string, error)
	// MachineGUID identifies the installation of Windows.
	MachineGUID func() (string, error)
	// InContainer: this is a Windows container, which sees its host's hardware.
	InContainer func() bool
}

// New returns a reader of this machine; its parameter has no meaning here.
func New(string) *Reader {
	return &Reader{Firmware: firmwareTable, DiskSerials: diskSerials, MachineGUID: machineGUID, InContainer: inContainer}
}

// Read implements [ports.SignalReader]. In a container it reads MachineGuid alone.
// Only the firmware tells a virtual machine: the processor says the same on
// hardware whose Windows runs on its own hypervisor.
//
// The questions are answered at once unless a device hangs. Then Read returns
// when ctx is done or its 5 s are over, and leaves the question behind.
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
		// The first of several in byte order, as on Linux.
		s.DiskSerial = ports.PresentSignal(slices.Min(serials))
	}
	return s
}

// signalOf makes a signal of an answer. An error other than a lack of rights means
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
