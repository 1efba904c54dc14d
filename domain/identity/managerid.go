package identity

import "strings"

// ManagerID is an operating system's machine id as a manager knows hosts by
// it: /etc/machine-id as it stands, MachineGuid without hyphens in lower case
// (docs/PROTOCOLS.md, "Register"). It is empty for a text that is not 32 hexadecimal
// digits then.
func ManagerID(raw string) string {
	id := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(raw), "-", ""))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return id
}
