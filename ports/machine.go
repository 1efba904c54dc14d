package ports

import (
	"context"
	"fmt"
)

// SignalKind names one thing that tells a machine from others.
type SignalKind string

// The signals.
const (
	SignalSystemUUID      SignalKind = "smbios_uuid"
	SignalBaseboardSerial SignalKind = "baseboard_serial"
	SignalDiskSerial      SignalKind = "disk_serial" // of the disk that holds the root (on Windows the system drive)
	SignalOSMachineID     SignalKind = "machine_id"  // /etc/machine-id, MachineGuid
)

// Signal is one reading. Its value is never printed: it may not be logged or
// sent, and lies behind a pointer so that not even a container that holds one
// in an unexported field shows it. The zero Signal is absent.
type Signal struct {
	value      *string
	unreadable bool
}

// PresentSignal is a signal that was read, as it was read; an empty value is
// an absent signal.
func PresentSignal(value string) Signal {
	if value == "" {
		return Signal{}
	}
	return Signal{value: &value}
}

// UnreadableSignal is a signal that exists and may not be read with the
// rights of this process.
func UnreadableSignal() Signal { return Signal{unreadable: true} }

// Value is the reading; empty if absent or unreadable.
func (s Signal) Value() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Unreadable reports that the signal exists and may not be read.
func (s Signal) Unreadable() bool { return s.unreadable }

// Format implements fmt.Formatter: the state of the signal, never its value.
func (s Signal) Format(f fmt.State, _ rune) {
	text := "present"
	switch {
	case s.unreadable:
		text = "unreadable"
	case s.value == nil:
		text = "absent"
	}
	_, _ = f.Write([]byte(text)) // fmt.State has no one to report an error to
}

// MachineSignals is all that could be read, raw: neither normalised nor
// checked for placeholders.
type MachineSignals struct {
	// SystemUUID in the text form of RFC 9562, the bytes in the order that the
	// table's SMBIOS version prescribes, as in Linux's product_uuid.
	SystemUUID      Signal
	BaseboardSerial Signal
	DiskSerial      Signal
	OSMachineID     Signal
	// Virtual: a hypervisor runs this machine.
	Virtual bool
	// Container: this process runs in a container, whose hardware signals
	// are the host's; they are then not read at all.
	Container bool
}

// SignalReader reads the machine's signals.
//
// Read ends within 5 s and reads only local sources. A source that does not
// exist is an absent signal, one that may not be read an unreadable signal. An
// error is returned only when ctx is done, when the 5 s are over, or, of kind
// errors.ErrUnsupported, on a platform whose signals are not read yet. It
// changes nothing.
type SignalReader interface {
	Read(ctx context.Context) (MachineSignals, error)
}
