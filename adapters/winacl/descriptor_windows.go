package winacl

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// Types of entries (winnt.h). Those that deny or audit allow nothing.
const (
	denied         = 1
	audit          = 2
	deniedObject   = 6
	auditObject    = 7
	allowedOnTerms = 9 // ACCESS_ALLOWED_CALLBACK_ACE_TYPE: if a condition holds
	deniedOnTerms  = 10
)

// read reads the descriptor of an open file or directory.
func read(handle windows.Handle) (descriptor, error) {
	sd, err := windows.GetSecurityInfo(handle, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return descriptor{}, err
	}
	return describe(sd)
}

// describe translates a descriptor. An entry of an unknown kind counts as one for
// everybody.
func describe(sd *windows.SECURITY_DESCRIPTOR) (d descriptor, err error) {
	owner, _, err := sd.Owner()
	if err != nil {
		return d, err
	}
	if owner != nil {
		d.owner = owner.String()
	}
	control, _, err := sd.Control()
	if err != nil {
		return d, err
	}
	d.protected = control&windows.SE_DACL_PROTECTED != 0
	dacl, _, err := sd.DACL()
	if err == windows.ERROR_OBJECT_NOT_FOUND || err == nil && dacl == nil {
		d.open = true
		return d, nil
	}
	if err != nil {
		return d, err
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return d, err
		}
		g := grant{sid: everyone, rights: uint32(ace.Mask), passedOn: ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0}
		switch ace.Header.AceType {
		case denied, audit, deniedObject, auditObject, deniedOnTerms:
			continue
		case windows.ACCESS_ALLOWED_ACE_TYPE, allowedOnTerms:
			g.sid = (*windows.SID)(unsafe.Pointer(&ace.SidStart)).String()
		}
		d.allowed = append(d.allowed, g)
	}
	return d, nil
}
