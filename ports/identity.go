package ports

import "time"

// IdentitySource names the signal that a machine_uid was computed from.
type IdentitySource string

// The sources, from the strongest to the weakest; SourceConfigured overrides
// all.
const (
	SourceConfigured    IdentitySource = "configured"     // MUSTER_MACHINE_UID
	SourceSystemUUID    IdentitySource = "smbios_uuid"    // SMBIOS system UUID
	SourceBaseboardDisk IdentitySource = "baseboard_disk" // baseboard serial and root disk serial
	SourceMachineID     IdentitySource = "machine_id"     // /etc/machine-id, MachineGuid: does not survive a re-image
	SourceRandom        IdentitySource = "random"         // kept in the state directory
)

// Identity is which machine this is, as it was enrolled.
type Identity struct {
	AgentID    string // UUID, made at the first enrollment and kept
	MachineUID string // muid_<64 hex digits>
	Source     IdentitySource
	// Salt and Hashes tell later whether a signal is the one of the
	// enrollment, without keeping the signal: lower-case hex of
	// SHA-256(salt ‖ kind ‖ 0 ‖ normalised signal).
	Salt      []byte
	Hashes    map[SignalKind]string
	CreatedAt time.Time
}
