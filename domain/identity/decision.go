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
	// New: there is no record; this machine is to enroll as Identity. The caller
	// gives it its AgentID and CreatedAt and stores it.
	New struct{ Identity ports.Identity }

	// Keep: this is the enrolled machine. Changed says that an operator
	// configured another machine_uid for it: Identity, which keeps the AgentID
	// and CreatedAt of the record, must be stored.
	Keep struct {
		Identity ports.Identity
		Changed  bool
	}

	// Repaired: this is the enrolled machine, in which parts were replaced; it
	// keeps its uid. Identity is to be stored: it holds the hashes of all that
	// can be read today, and the recorded ones of the rest.
	Repaired struct {
		Identity      ports.Identity
		Differ, Match []ports.SignalKind // compared with the enrollment
	}

	// Clone: this is another machine, with a copy of the enrolled one's state
	// directory. The caller sets the whole directory aside; Self (New or
	// NeedsRights) says which machine this is. Self rests on no machine-id and
	// holds no hash of it, since that was copied too.
	Clone struct {
		Differ []ports.SignalKind // compared with the enrollment
		Self   Decision
	}

	// NeedsRights: a signal exists that may identify this machine better than
	// those that can be read, and this process may not read it. This is an
	// error, not a reason to use a weaker signal: a machine must not enroll twice
	// because it was once started without rights.
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
		" run `sudo muster identify --save` once with the same state directory, or set MUSTER_MACHINE_UID", nameOf(n.Signal))
}

// nameOf is what a sentence calls a signal.
func nameOf(kind ports.SignalKind) string {
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
