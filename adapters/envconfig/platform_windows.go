package envconfig

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
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

// sameAccess gives f the access control list of the file at path, which may be
// closer than that of the directory.
func sameAccess(f *os.File, path string, _ fs.FileInfo) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	control, _, err := sd.Control()
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	parts := windows.SECURITY_INFORMATION(windows.DACL_SECURITY_INFORMATION)
	if control&windows.SE_DACL_PROTECTED != 0 {
		parts |= windows.PROTECTED_DACL_SECURITY_INFORMATION
	} else {
		parts |= windows.UNPROTECTED_DACL_SECURITY_INFORMATION
	}
	return windows.SetNamedSecurityInfo(f.Name(), windows.SE_FILE_OBJECT, parts, nil, nil, dacl, nil)
}

// syncDir does nothing: Windows has no such call.
func syncDir(string) error { return nil }
