// Package credential decides which API key a machine uses.
package credential

import "github.com/muster-agent/muster/ports"

// Stored says what is stored where a credential belongs.
type Stored int

// What a store may hold.
const (
	None         Stored = iota // nothing, or what was there was damaged and set aside
	Ours                       // issued by the configured server and site to this machine
	OfOtherSite                // issued by another server or site than the configured one
	OfOtherUID                 // issued to another machine_uid than this machine's
	Unreadable                 // there, and may not be used as it is: only a person can help
	NewerVersion               // there, written by a newer version in a format that this one does not know
)

// Found is all that the decision depends on.
type Found struct {
	Stored Stored
	// Site says that server, site code and enrollment key are all configured.
	Site bool
	// Legacy says that the deprecated shared key is configured.
	Legacy bool
}

// Decision says which key to use, or what has to happen before there is one.
type Decision int

// The decisions.
const (
	// NotConfigured: say what to configure.
	NotConfigured Decision = iota
	// UseStored: connect with the stored key, do not enroll.
	UseStored
	// Enroll: ask the site's server for a key.
	Enroll
	// EnrollKeepingOld: the same, but a record of another server, site or
	// machine is stored. It is not used, and stays until the new one replaces
	// it.
	EnrollKeepingOld
	// UseLegacy: connect with the deprecated shared key, with a warning.
	UseLegacy
	// NeedKey: the stored key may not be used for what is configured, and
	// there is no enrollment key to ask for another.
	NeedKey
	// BlockedUnreadable: a person must repair the stored file first; never
	// enroll over it.
	BlockedUnreadable
	// BlockedNewer: a newer version of the program must run, or a person must
	// remove the record; never enroll over it.
	BlockedNewer
)

// Decide applies the precedence: a stored key, then site enrollment, then the
// deprecated shared key, then advice. testdata/decisions.golden holds the whole
// truth table.
func Decide(f Found) Decision {
	switch {
	case f.Stored == Unreadable:
		return BlockedUnreadable
	case f.Stored == NewerVersion:
		return BlockedNewer
	case f.Stored == Ours:
		return UseStored
	case f.Stored == None && f.Site:
		return Enroll
	case f.Site: // of another site or machine
		return EnrollKeepingOld
	case f.Stored != None:
		return NeedKey
	case f.Legacy:
		return UseLegacy
	default:
		return NotConfigured
	}
}

// Classify says whose a loaded credential is: Ours, OfOtherSite or OfOtherUID.
// An empty serverURL or siteCode means that the configuration names none; the
// credential's own then counts as the configured one.
func Classify(c ports.Credential, serverURL, siteCode, machineUID string) Stored {
	switch {
	case c.MachineUID != machineUID:
		return OfOtherUID
	case serverURL != "" && CanonicalURL(c.ServerURL) != CanonicalURL(serverURL):
		return OfOtherSite
	case siteCode != "" && c.SiteCode != siteCode:
		return OfOtherSite
	default:
		return Ours
	}
}
