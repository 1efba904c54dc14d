package identity

import (
	"fmt"

	"github.com/muster-agent/muster/ports"
)

// Decision is the closed set of answers to the question which machine this
// is.
//
//sumtype:decl
type Decision interface{ decision() }

type (
	// New: no record; this machine is to be enrolled as Identity. The caller
	// gives it its AgentID and CreatedAt and stores it.
	New struct{ Identity ports.Identity }

	// Keep: the enrolled machine. Changed says that an operator configured
	// another machine_uid, so that the record must be stored; its AgentID and
	// CreatedAt are the former ones.
	Keep struct {
		Identity ports.Identity
		Changed  bool
	}

	// Repaired: the enrolled machine with parts replaced; it keeps its uid.
	// Identity has the hashes of what is readable today, to be stored, and
	// keeps the others.
	Repaired struct {
		Identity      ports.Identity
		Differ, Match []ports.SignalKind // compared with the enrollment
	}

	// Clone: another machine, which holds a copy of the enrolled one's state
	// directory. The whole directory is to be set aside; then Self (New or
	// NeedsRights) says who this one is. It is not known by its machine-id,
	// which was copied too and is not among Self's hashes.
	Clone struct {
		Differ []ports.SignalKind // compared with the enrollment
		Self   Decision
	}

	// NeedsRights: a signal exists that may name this machine better than all
	// that can be read, and this process may not read it. It is an error, and
	// not a fall to a weaker signal, because a machine must not enroll twice
	// for having once been started without rights.
	NeedsRights struct{ Signal ports.SignalKind }
)

func (New) decision()         {}
func (Keep) decision()        {}
func (Repaired) decision()    {}
func (Clone) decision()       {}
func (NeedsRights) decision() {}

// Error implements error.
func (n NeedsRights) Error() string {
	return fmt.Sprintf("%s exists but may not be read with the rights of this process, and this machine is not to be enrolled under a weaker signal:"+
		" run `sudo muster identify --save` once with the same state directory, or set MUSTER_MACHINE_UID", words(n.Signal))
}

func words(kind ports.SignalKind) string {
	switch kind {
	case ports.SignalSystemUUID:
		return "the SMBIOS system UUID"
	case ports.SignalBaseboardSerial:
		return "the baseboard's serial number"
	case ports.SignalDiskSerial:
		return "the serial number of the disk that holds the root"
	case ports.SignalOSMachineID:
		return "the operating system's machine id"
	}
	return string(kind)
}
