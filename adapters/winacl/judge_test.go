package winacl

import "testing"

const (
	user  = "S-1-5-21-1-2-3-1001"
	users = "S-1-5-32-545"
	all   = 0x1f01ff // FILE_ALL_ACCESS
	seen  = 0x1200a9 // FILE_GENERIC_READ and execute
)

// ours is what sddl describes.
func ours(more ...grant) descriptor {
	return descriptor{owner: administrators, protected: true, allowed: append([]grant{{sid: system, rights: all}, {sid: administrators, rights: all}}, more...)}
}

func by(owner string, d descriptor) descriptor {
	d.owner = owner
	return d
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	inherits, open := ours(), ours()
	inherits.protected, open.open = false, true
	for name, c := range map[string]struct {
		d             descriptor
		foreign, wide bool
	}{
		"ours":                         {ours(), false, false},
		"SYSTEM's":                     {by(system, ours()), false, false},
		"TrustedInstaller's":           {by(trustedInstaller, ours(grant{sid: trustedInstaller, rights: all})), false, false},
		"an ordinary user's":           {by(user, ours()), true, false},
		"the group Users'":             {by(users, ours()), true, false},
		"another service's":            {by("S-1-5-80-1-2-3-4-5", ours()), true, false},
		"LocalService's":               {by("S-1-5-19", ours()), true, false},
		"nobody's":                     {by("", ours()), true, false},
		"a user's with a longer SID":   {by(system+"0", ours()), true, false},
		"that inherits":                {inherits, false, true},
		"without a list":               {open, false, true},
		"with a list of nothing":       {descriptor{owner: system, protected: true}, false, false},
		"that users may read":          {ours(grant{sid: users, rights: seen}), false, true},
		"that a user may do all to":    {ours(grant{sid: user, rights: all}), false, true},
		"whose files users may read":   {ours(grant{sid: users, rights: seen, passedOn: true}), false, true},
		"whose makers keep all":        {ours(grant{sid: "S-1-3-0", rights: all, passedOn: true}), false, true},
		"as ProgramData would make it": {inherit(ours(grant{sid: users, rights: seen}, grant{sid: users, rights: 0x116})), false, true},
	} {
		if got := c.d.foreign(); got != c.foreign {
			t.Errorf("a directory %s: foreign %v, want %v", name, got, c.foreign)
		}
		if got := c.d.wide(); (got != "") != c.wide {
			t.Errorf("a directory %s: wide %q, want %v", name, got, c.wide)
		}
	}
}

func inherit(d descriptor) descriptor {
	d.protected = false
	return d
}

func TestFiles(t *testing.T) {
	t.Parallel()
	open := ours()
	open.open = true
	for name, c := range map[string]struct {
		d            descriptor
		use, alter   string // who, beside administrators
		aloneByOwner string // who may alter it beside administrators and the user
	}{
		"ours":                        {ours(), "", "", ""},
		"that inherits the same":      {inherit(ours()), "", "", ""},
		"without a list":              {open, everyone, everyone, everyone},
		"an ordinary user's":          {by(user, ours()), user, user, ""},
		"the group Users'":            {by(users, ours()), users, users, users},
		"that users may read":         {ours(grant{sid: users, rights: seen}), users, "", ""},
		"that users may read, in one": {ours(grant{sid: users, rights: genericRead}), users, "", ""},
		"that users may append to":    {ours(grant{sid: users, rights: appendData}), users, users, users},
		"that users may delete":       {ours(grant{sid: users, rights: deleteItself}), users, users, users},
		"whose list users may change": {ours(grant{sid: users, rights: writeDAC}), users, users, users},
		"that users may take":         {ours(grant{sid: users, rights: writeOwner}), users, users, users},
		"that all may do all to":      {ours(grant{sid: everyone, rights: genericAll}), everyone, everyone, everyone},
		"that a user may write":       {ours(grant{sid: user, rights: writeData}), user, user, ""},
		"whose attributes are seen":   {ours(grant{sid: users, rights: 0x80 | 0x20000 | 0x100000}), "", "", ""},
		"with an entry for others":    {ours(grant{sid: users, rights: all, passedOn: true}), "", "", ""},
		"whose owner has rights":      {ours(grant{sid: ownerRights, rights: all}), "", "", ""},
	} {
		if got := c.d.reachedBy(rightsToUse); got != c.use {
			t.Errorf("a file %s: reached by %q, want %q", name, got, c.use)
		}
		if got := c.d.reachedBy(rightsToAlter); got != c.alter {
			t.Errorf("a file %s: altered by %q, want %q", name, got, c.alter)
		}
		if got := c.d.reachedBy(rightsToAlter, user); got != c.aloneByOwner {
			t.Errorf("a file %s: altered, beside the user, by %q, want %q", name, got, c.aloneByOwner)
		}
	}
}
