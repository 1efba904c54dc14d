package identity

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/muster-agent/muster/ports"
)

// namespace keeps these digests apart from all others of the same signals. It
// never changes: every enrolled machine is known by what it gives.
const namespace = "muster machine_uid v1"

// MachineUID is "muid_" and the lower-case hex of
//
//	SHA-256(namespace ‖ 0 ‖ source ‖ 0 ‖ value ‖ 0 ‖ value …)
//
// where namespace is "muster machine_uid v1", 0 is one zero byte between two
// parts, and the values are normalised signals: the system UUID; the
// baseboard's serial, then the disk's; the machine-id; or random bytes.
func MachineUID(source ports.IdentitySource, values ...string) string {
	text := namespace + "\x00" + string(source)
	for _, value := range values {
		text += "\x00" + value
	}
	sum := sha256.Sum256([]byte(text))
	return "muid_" + hex.EncodeToString(sum[:])
}
