// Package winacl keeps the agent's directories and files to the administrators
// of a Windows machine, by access control lists.
//
// This file judges what a list means, and knows nothing of Windows but its
// numbers. The others ask Windows for the lists and set them.
package winacl

import (
	"fmt"
	"slices"
)

// The accounts that own the machine anyway.
const (
	system           = "S-1-5-18"
	administrators   = "S-1-5-32-544"
	trustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
)

// Rights to a file or directory (winnt.h).
const (
	readData      = 0x1 // FILE_READ_DATA, FILE_LIST_DIRECTORY
	writeData     = 0x2 // FILE_WRITE_DATA, FILE_ADD_FILE
	appendData    = 0x4 // FILE_APPEND_DATA, FILE_ADD_SUBDIRECTORY
	deleteChild   = 0x40
	deleteItself  = 0x10000
	writeDAC      = 0x40000
	writeOwner    = 0x80000
	maximumAllow  = 0x2000000
	genericAll    = 0x10000000
	genericWrite  = 0x40000000
	genericRead   = 0x80000000
	rightsToAlter = writeData | appendData | deleteChild | deleteItself | writeDAC | writeOwner | maximumAllow | genericAll | genericWrite
	rightsToUse   = rightsToAlter | readData | genericRead
)

// descriptor holds what is read from a security descriptor.
type descriptor struct {
	owner     string // SID
	protected bool   // nothing comes from the parent
	open      bool   // there is no list: everybody may do everything
	allowed   []grant
}

// grant is an entry that allows something. Entries that deny are left out: they
// only take away.
type grant struct {
	sid    string
	rights uint32
	// passedOn says that the entry is only for what is made inside.
	passedOn bool
}

func isAdministrator(sid string) bool {
	return sid == system || sid == administrators || sid == trustedInstaller
}

// foreign reports whether the owner is no administrator. An owner may always change
// the list, and may have put anything inside.
func (d descriptor) foreign() bool { return !isAdministrator(d.owner) }

// wide says why others than administrators reach a directory or what will be made
// inside; empty if they do not.
func (d descriptor) wide() string {
	switch {
	case d.open:
		return "it has no access control list: everybody may do everything"
	case !d.protected:
		return "it takes its access control list from its parent"
	}
	for _, g := range d.allowed {
		if !isAdministrator(g.sid) {
			return fmt.Sprintf("its access control list lets %s in", g.sid)
		}
	}
	return ""
}

// reachedBy names an account that has one of the rights to the file and is
// neither an administrator nor one of the others; empty if there is none.
func (d descriptor) reachedBy(rights uint32, others ...string) string {
	if isTrusted := isAdministrator(d.owner) || slices.Contains(others, d.owner); !isTrusted {
		return d.owner
	}
	if d.open {
		return everyone
	}
	for _, g := range d.allowed {
		if g.passedOn || g.rights&rights == 0 || g.sid == ownerRights {
			continue // the owner was judged
		}
		if !isAdministrator(g.sid) && !slices.Contains(others, g.sid) {
			return g.sid
		}
	}
	return ""
}

const (
	everyone    = "S-1-1-0"
	ownerRights = "S-1-3-4" // stands for the owner, whoever that is
)
