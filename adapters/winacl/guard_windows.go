package winacl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

const (
	// foreignInfix and the time make the name of what is renamed.
	foreignInfix = ".foreign-"
	// shared is how package os opens files too: nobody is locked out.
	shared = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
)

// sddl is the descriptor of all files and directories that are made here: full
// access for SYSTEM and Administrators, inherited by what is made inside, and
// nothing from the parent.
//
// The owner is Administrators, whether the service or an administrator's command
// makes them: SYSTEM may name that group as owner, whereas an administrator may
// not name SYSTEM without a privilege that is disabled.
const sddl = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"

// Guard implements ports.Guard. The zero value is usable.
//
// Wine neither keeps access control lists nor enforces them. There Guard asks for
// the same lists, and takes whatever list it reads for sound.
type Guard struct{}

// attributes hold the descriptor for new files and directories.
var attributes = sync.OnceValues(func() (*windows.SecurityAttributes, error) {
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return nil, err
	}
	sa := &windows.SecurityAttributes{SecurityDescriptor: sd}
	sa.Length = uint32(unsafe.Sizeof(*sa))
	return sa, nil
})

// kept reports whether the system keeps access control lists, as all but Wine do.
// Wine documents this way to recognise it.
var kept = sync.OnceValue(func() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() != nil
})

// Mkdir implements ports.Guard.
func (Guard) Mkdir(path string) error {
	fail := func(err error) error { return &fs.PathError{Op: "mkdir", Path: path, Err: explain(err)} }
	sa, err := attributes()
	if err != nil {
		return fail(err)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return fail(err)
	}
	if err := windows.CreateDirectory(name, sa); err != nil {
		return fail(err)
	}
	return nil
}

// Create implements ports.Guard.
func (Guard) Create(path string) (*os.File, error) {
	fail := func(err error) (*os.File, error) {
		return nil, &fs.PathError{Op: "create", Path: path, Err: explain(err)}
	}
	sa, err := attributes()
	if err != nil {
		return fail(err)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return fail(err)
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, shared, sa, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return fail(err)
	}
	return os.NewFile(uintptr(handle), path), nil
}

// explain translates the answer of Windows to an account that may not name the
// group Administrators as owner: the account lacks an administrator's rights.
func explain(err error) error {
	if errors.Is(err, windows.ERROR_INVALID_OWNER) {
		return windows.ERROR_ACCESS_DENIED
	}
	return err
}

// wrongAccount tells a person that the account of this process has no rights to
// the directory.
func wrongAccount(err error) error {
	return fmt.Errorf("%w: this account may not use it; run as the SYSTEM service (muster service install), or from an administrator's prompt", err)
}

// Claim implements ports.Guard. It renames a directory that somebody else owns to
// <path>.foreign-<time>.
func (Guard) Claim(path string, readOnly bool) (ports.Recovery, error) {
	reason, err := look(path, readOnly)
	switch {
	case err != nil:
		return ports.Recovery{}, err
	case reason.foreign == "" && reason.repaired == "":
		return ports.Recovery{}, nil
	case reason.repaired != "":
		return ports.Recovery{File: path, Action: "repaired", Reason: reason.repaired}, nil
	case readOnly:
		return ports.Recovery{}, unreadable(path, errors.New(reason.foreign+": nothing in it is read; an administrator's 'muster service install' puts it aside"))
	}
	aside, err := putAside(path)
	if err != nil {
		return ports.Recovery{}, unreadable(path, fmt.Errorf("%s, and it could not be renamed: %w; nothing in it is read: close what uses it, and remove it", reason.foreign, err))
	}
	return ports.Recovery{File: path, Action: "set aside", SetAside: aside, Reason: reason.foreign}, fs.ErrNotExist
}

// finding says what look found or did; at most one field is set.
type finding struct{ foreign, repaired string }

// look judges what lies at path. Unless it is readOnly, it closes an
// administrator's directory to others.
func look(path string, readOnly bool) (found finding, err error) {
	handle, err := openItself(path, windows.READ_CONTROL|windows.FILE_READ_ATTRIBUTES)
	if errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) && isSystem() {
		// An owner may always look, and SYSTEM is one of Administrators: so the
		// owner is somebody else. An administrator could not tell that, since
		// the directory may be SYSTEM's own.
		return finding{foreign: "its owner does not let SYSTEM look at it"}, nil
	}
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = wrongAccount(err)
		}
		return found, unreadable(path, err)
	}
	defer windows.CloseHandle(handle) // read only: nothing is lost
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		return found, unreadable(path, err)
	}
	d, err := read(handle)
	if err != nil {
		return found, unreadable(path, err)
	}
	switch {
	case kept() && d.foreign():
		return finding{foreign: "it belongs to " + nameOf(d.owner) + ", not to SYSTEM or Administrators"}, nil
	case info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0:
		return found, unreadable(path, errors.New("it is a link, which is not followed; set MUSTER_STATE_DIR to the directory itself, or remove the link"))
	case info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY == 0, readOnly, !kept():
		return found, nil
	}
	reason := d.wide()
	if reason == "" {
		return found, nil
	}
	if isRoot(path) {
		return found, unreadable(path, errors.New("it is a whole drive, which is not closed to others; set MUSTER_STATE_DIR to a directory of its own"))
	}
	if err := repair(path); err != nil {
		return found, unreadable(path, fmt.Errorf("%s, and that could not be repaired: %w", reason, err))
	}
	return finding{repaired: reason}, nil
}

// isRoot reports whether path is the root of a drive or of a share.
func isRoot(path string) bool {
	path = filepath.Clean(path)
	return filepath.Dir(path) == path
}

// repair gives the directory the list of new ones. What inherits in it follows.
func repair(path string) error {
	handle, err := openItself(path, windows.READ_CONTROL|windows.WRITE_DAC)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(handle) // nothing is buffered
	sa, err := attributes()
	if err != nil {
		return err
	}
	dacl, _, err := sa.SecurityDescriptor.DACL()
	if err != nil {
		return err
	}
	return windows.SetSecurityInfo(handle, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
}

// Private implements ports.Guard.
func (Guard) Private(path string) error {
	handle, err := openItself(path, windows.READ_CONTROL)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(handle) // read only: nothing is lost
	d, err := read(handle)
	if err != nil || !kept() {
		return err
	}
	if who := d.reachedBy(rightsToUse); who != "" {
		return fmt.Errorf("%s can get at it and may have read or changed it already; if you trust it still: takeown /a /f \"%s\" && icacls \"%s\" /reset", nameOf(who), path, path)
	}
	return nil
}

// Unaltered implements ports.Guard.
func (Guard) Unaltered(file *os.File) error {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("the account of this process cannot be found: %w", err)
	}
	return unaltered(file, user.User.Sid.String())
}

// Sealed implements ports.Guard.
func (Guard) Sealed(file *os.File) error { return unaltered(file) }

// unaltered fails for a file that anybody else than administrators and these
// others may change.
func unaltered(file *os.File, others ...string) error {
	d, err := read(windows.Handle(file.Fd()))
	if err != nil {
		return fmt.Errorf("its access control list cannot be read: %w", err)
	}
	if who := d.reachedBy(rightsToAlter, others...); kept() && who != "" {
		return fmt.Errorf("%s may write it; let only administrators: takeown /a /f \"%s\" && icacls \"%s\" /inheritance:r /grant *%s:F *%s:F", nameOf(who), file.Name(), file.Name(), system, administrators)
	}
	return nil
}

func unreadable(path string, err error) error {
	return fmt.Errorf("%s %w: %w", path, ports.ErrUnreadable, err)
}

// openItself opens a file or a directory, or a link itself.
func openItself(path string, access uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	return windows.CreateFile(name, access, shared, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_BACKUP_SEMANTICS|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
}

// putAside renames what somebody else owns and returns where it lies now.
func putAside(path string) (aside string, err error) {
	parent, err := new(durable.Disk).Open(filepath.Dir(path))
	if err != nil {
		return "", durable.Cause(err)
	}
	defer parent.Close()
	name := filepath.Base(path)
	aside, err = parent.FreeName(name+foreignInfix, "")
	if err == nil {
		err = parent.Rename(name, aside)
	}
	return parent.At(aside), durable.Cause(err)
}

// isSystem reports whether this process runs as SYSTEM.
func isSystem() bool {
	sid, err := windows.StringToSid(system)
	if err != nil {
		return false
	}
	member, err := windows.Token(0).IsMember(sid)
	return err == nil && member
}

// nameOf is an account's name, or its SID where there is no name for it.
func nameOf(account string) string {
	sid, err := windows.StringToSid(account)
	if err != nil {
		return "nobody"
	}
	name, domain, _, err := sid.LookupAccount("")
	if err != nil {
		return account
	}
	if domain != "" {
		name = domain + `\` + name
	}
	return name
}
