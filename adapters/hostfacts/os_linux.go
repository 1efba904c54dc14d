package hostfacts

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/muster-agent/muster/ports"
)

// osDetails reads os-release(5) and the kernel's release. The defaults are those
// of that manual.
func osDetails(root string) ports.OSDetails {
	release, err := os.ReadFile(filepath.Join(root, "etc/os-release"))
	if err != nil {
		release, err = os.ReadFile(filepath.Join(root, "usr/lib/os-release"))
	}
	if err != nil {
		release = nil // a minimal image has neither
	}
	kernel, err := os.ReadFile(filepath.Join(root, "proc/sys/kernel/osrelease"))
	if err != nil {
		kernel = nil // proc is not mounted; it may be empty
	}
	field := parseRelease(string(release))
	return ports.OSDetails{
		Distro:   cmp.Or(field["NAME"], field["PRETTY_NAME"], "Linux"),
		Name:     cmp.Or(field["ID"], "linux"),
		Version:  field["VERSION_ID"],
		Codename: field["VERSION_CODENAME"],
		IDLike:   field["ID_LIKE"],
		Kernel:   printable(strings.TrimSpace(string(kernel))),
	}
}

// parseRelease reads lines of KEY=value, the value quoted as for a shell.
func parseRelease(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			fields[key] = printable(unquote(value))
		}
	}
	return fields
}

// unquote takes a shell's quotes and backslashes off a single word.
func unquote(value string) string {
	if len(value) >= 2 && value[0] == '\'' && value[len(value)-1] == '\'' {
		return value[1 : len(value)-1]
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		out.WriteByte(value[i])
	}
	return out.String()
}

// printable returns text without the characters that a manager could not show.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, text)
}
