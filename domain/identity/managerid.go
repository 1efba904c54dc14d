package identity

import "strings"

// ManagerID returns an operating system's machine id in the form by which
// managers know hosts (docs/PROTOCOLS.md, "Register"): /etc/machine-id as it
// stands, MachineGuid in lower case without hyphens. It returns "" if that is not
// 32 hexadecimal digits.
func ManagerID(raw string) string {
	id := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(raw), "-", ""))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	return id
}
