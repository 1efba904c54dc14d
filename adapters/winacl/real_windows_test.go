//go:build windows_real

package winacl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/ports"
)

// These tests need Windows itself and an administrator's rights.

// set gives a file or directory the parts of a descriptor that text has. To
// name an owner that is not one of this process takes a privilege.
func set(t *testing.T, path, text string) {
	t.Helper()
	is := is.New(t)
	is.NoErr(enable("SeRestorePrivilege"))
	sd, err := windows.SecurityDescriptorFromString(text)
	is.NoErr(err)
	var parts windows.SECURITY_INFORMATION
	owner, _, err := sd.Owner()
	is.NoErr(err)
	if owner != nil {
		parts |= windows.OWNER_SECURITY_INFORMATION
	}
	dacl, _, err := sd.DACL()
	if err == nil {
		parts |= windows.DACL_SECURITY_INFORMATION
		if strings.Contains(text, "D:P") {
			parts |= windows.PROTECTED_DACL_SECURITY_INFORMATION
		} else {
			parts |= windows.UNPROTECTED_DACL_SECURITY_INFORMATION
		}
	}
	is.NoErr(windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, parts, owner, nil, dacl, nil))
}

func enable(privilege string) error {
	var token windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_ADJUST_PRIVILEGES|windows.TOKEN_QUERY, &token); err != nil {
		return err
	}
	defer token.Close()
	name, err := windows.UTF16PtrFromString(privilege)
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

func onDisk(t *testing.T, path string) descriptor {
	t.Helper()
	is := is.New(t)
	handle, err := openItself(path, windows.READ_CONTROL)
	is.NoErr(err)
	defer windows.CloseHandle(handle)
	d, err := read(handle)
	is.NoErr(err)
	return d
}

func TestRealWhatIsMadeIsClosed(t *testing.T) {
	is := is.New(t)
	is.True(kept())
	dir := filepath.Join(t.TempDir(), "state")
	is.NoErr(Guard{}.Mkdir(dir))
	file, err := Guard{}.Create(filepath.Join(dir, "file"))
	is.NoErr(err)
	is.NoErr(file.Close())
	for _, path := range []string{dir, file.Name()} {
		d := onDisk(t, path)
		is.Equal(d.owner, administrators)
		is.Equal(d.wide(), "")
		is.Equal(len(d.allowed), 2)
		is.Equal(d.reachedBy(rightsToUse), "")
	}
	is.NoErr(Guard{}.Private(file.Name()))
	// What others make in it inherits.
	is.NoErr(os.WriteFile(filepath.Join(dir, "inherits"), nil, 0o600))
	is.Equal(onDisk(t, filepath.Join(dir, "inherits")).reachedBy(rightsToUse, onDisk(t, dir).owner), "")
}

func TestRealAUsersDirectoryIsPutAside(t *testing.T) {
	is := is.New(t)
	for _, owner := range []string{"BU", user, "LS"} {
		dir := filepath.Join(t.TempDir(), "state")
		is.NoErr(os.Mkdir(dir, 0o700))
		is.NoErr(os.WriteFile(filepath.Join(dir, "agent.env"), []byte("MUSTER_SERVER_URL=https://evil.example\n"), 0o600))
		set(t, dir, "O:"+owner)
		_, err := Guard{}.Claim(dir, true)
		is.True(errors.Is(err, ports.ErrUnreadable))
		done, err := Guard{}.Claim(dir, false)
		is.True(errors.Is(err, fs.ErrNotExist))
		is.Equal(done.Action, "set aside")
		_, err = os.Stat(dir)
		is.True(errors.Is(err, fs.ErrNotExist))
		_, err = os.Stat(filepath.Join(done.SetAside, "agent.env"))
		is.NoErr(err)
		is.NoErr(Guard{}.Mkdir(dir))
		_, err = Guard{}.Claim(dir, false)
		is.NoErr(err)
	}
}

func TestRealAWideDirectoryIsRepaired(t *testing.T) {
	is := is.New(t)
	for _, text := range []string{"O:BAD:(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)", "O:BAD:NO_ACCESS_CONTROL"} {
		dir := filepath.Join(t.TempDir(), "state")
		is.NoErr(os.Mkdir(dir, 0o700))
		inside := filepath.Join(dir, "inside")
		is.NoErr(os.WriteFile(inside, nil, 0o600))
		set(t, dir, text)
		set(t, inside, "O:BA")
		done, err := Guard{}.Claim(dir, true)
		is.NoErr(err)
		is.Equal(done, ports.Recovery{})
		done, err = Guard{}.Claim(dir, false)
		is.NoErr(err)
		is.Equal(done.Action, "repaired")
		is.Equal(onDisk(t, dir).wide(), "")
		is.NoErr(Guard{}.Private(inside)) // what it inherited is gone too
		done, err = Guard{}.Claim(dir, false)
		is.NoErr(err)
		is.Equal(done, ports.Recovery{})
	}
}

func TestRealAFileThatOthersReach(t *testing.T) {
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "state")
	is.NoErr(Guard{}.Mkdir(dir))
	f, err := Guard{}.Create(filepath.Join(dir, "file"))
	is.NoErr(err)
	defer f.Close()
	is.NoErr(Guard{}.Unaltered(f))
	set(t, f.Name(), "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;BU)")
	is.True(Guard{}.Private(f.Name()) != nil)
	is.NoErr(Guard{}.Unaltered(f)) // read only
	set(t, f.Name(), "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;BU)")
	is.True(Guard{}.Unaltered(f) != nil)
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	is.NoErr(err)
	set(t, f.Name(), "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;"+user.User.Sid.String()+")")
	is.NoErr(Guard{}.Unaltered(f))
	is.True(Guard{}.Sealed(f) != nil) // a program of this account without its rights
}
