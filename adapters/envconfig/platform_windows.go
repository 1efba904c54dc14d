package envconfig

import (
	"io/fs"
	"path/filepath"
	"strings"
)

const openFlags = 0

// environmentName is the upper-case name: Windows does not tell the cases
// apart.
func environmentName(name string) string { return strings.ToUpper(name) }

func defaultFile(environment map[string]string) string {
	return filepath.Join(programData(environment), "agent.env")
}

func defaultStateDir(environment map[string]string) string {
	if dir := environment["STATE_DIRECTORY"]; dir != "" {
		return dir
	}
	return programData(environment)
}

func programData(environment map[string]string) string {
	base := environment["PROGRAMDATA"]
	if base == "" {
		base = `C:\ProgramData`
	}
	return filepath.Join(base, "Muster")
}

// checkWriters accepts every file: on Windows the mode says nothing about access.
// Source.Unaltered checks that.
func checkWriters(fs.FileInfo) error { return nil }
