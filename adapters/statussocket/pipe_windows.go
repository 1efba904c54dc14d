package statussocket

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// sddl is the security descriptor of the pipe: SYSTEM and Administrators may ask
// and serve, which is the same right. By the owner, Administrators, a caller knows
// that the pipe is an agent's.
const sddl = "O:BAG:SYD:P(A;;FA;;;SY)(A;;FA;;;BA)"

// endpoint is the pipe of a state directory.
func endpoint(dir string) string {
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	sum := sha256.Sum256([]byte(dir))
	return fmt.Sprintf(`\\.\pipe\muster-%x`, sum[:4])
}

// attributes hold the security descriptor for a new pipe.
var attributes = sync.OnceValues(func() (*windows.SecurityAttributes, error) {
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return nil, err
	}
	sa := &windows.SecurityAttributes{SecurityDescriptor: sd}
	sa.Length = uint32(unsafe.Sizeof(*sa))
	return sa, nil
})

// anAgents reports whether a pipe of this descriptor is an agent's: an ordinary
// user who made one of that name cannot give it such an owner.
func anAgents(sd *windows.SECURITY_DESCRIPTOR) bool {
	owner, _, err := sd.Owner()
	if err != nil || owner == nil {
		return false
	}
	return owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid)
}
