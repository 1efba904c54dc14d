//go:build windows_real

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/domain/exitcode"
)

// TestRealConfigurationOfAUser needs Windows itself and an administrator's
// rights.
func TestRealConfigurationOfAUser(t *testing.T) {
	is := is.New(t)
	programData := t.TempDir()
	dir := filepath.Join(programData, "Muster")
	is.NoErr(os.Mkdir(dir, 0o700))
	is.NoErr(os.WriteFile(filepath.Join(dir, "agent.env"), []byte("MUSTER_MANAGER_URL=https://evil.example\n"), 0o600))
	// With the right to take ownership back, but of a user: the privilege to
	// name any owner is enabled for this process only.
	is.NoErr(enableRestore())
	sd, err := windows.SecurityDescriptorFromString("O:BU")
	is.NoErr(err)
	owner, _, err := sd.Owner()
	is.NoErr(err)
	is.NoErr(windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION, owner, nil, nil, nil))

	code, out, errs := call(t, filepath.Join(t.TempDir(), "state"), []string{"ProgramData=" + programData}, "config")
	is.Equal(code, exitcode.Clean)
	is.True(!strings.Contains(out, "evil.example"))
	is.True(strings.Contains(errs, "nothing in it is read"))
	_, err = os.Stat(dir)
	is.True(os.IsNotExist(err))
}

func enableRestore() error {
	var token windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_ADJUST_PRIVILEGES|windows.TOKEN_QUERY, &token); err != nil {
		return err
	}
	defer token.Close()
	name, err := windows.UTF16PtrFromString("SeRestorePrivilege")
	if err != nil {
		return err
	}
	p := windows.Tokenprivileges{PrivilegeCount: 1}
	p.Privileges[0].Attributes = windows.SE_PRIVILEGE_ENABLED
	if err := windows.LookupPrivilegeValue(nil, name, &p.Privileges[0].Luid); err != nil {
		return err
	}
	return windows.AdjustTokenPrivileges(token, false, &p, 0, nil, nil)
}
