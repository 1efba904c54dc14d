package ports

import "errors"

// ErrUnprotectable: this machine cannot read a protected secret back, or not for
// this purpose: it was changed, or comes from another machine.
var ErrUnprotectable = errors.New("it was changed or protected by another machine")

// Protector wraps secrets that are to lie on disk, by the platform's means: DPAPI
// on Windows. A platform without such means has no Protector: there the files'
// permissions are the protection. It is safe for concurrent use.
type Protector interface {
	// Name is what status calls this protection: "dpapi".
	Name() string
	// Protect returns what to write in the secret's place, at most 1 KiB longer
	// than the secret. It is bound to the purpose (a short constant without a
	// zero byte) and to the machine_uid, which may be empty.
	Protect(secret Secret, purpose, machineUID string) ([]byte, error)
	// Unprotect is the reverse. It fails with ErrUnprotectable for a wrapping
	// that was changed in any byte, made for another purpose or machine_uid or
	// on another machine, and with ErrUnreadable where the protection itself
	// does not work for this process; the wrapping may then be sound.
	Unprotect(wrapped []byte, purpose, machineUID string) (Secret, error)
}
