package ports

import "os"

// Guard keeps directories and files to the machine's administrators where mode
// bits do not say who may reach them: on Windows, by access control lists.
// Elsewhere there is no Guard. It is safe for concurrent use.
//
// Administrators are the accounts that own the machine anyway: SYSTEM, the
// group Administrators and TrustedInstaller.
type Guard interface {
	// Claim looks at the directory path before anything in it is read or
	// written. Nil means that only administrators reach it, or that what lies
	// there is no directory; fs.ErrNotExist that nothing lies there.
	//
	// A directory that somebody else owns is renamed with all that is in it,
	// and Claim then answers as for an absent one. A directory that an
	// administrator owns and others reach is closed to them. The Recovery
	// reports either; otherwise it is zero. An error of kind ErrUnreadable says
	// that this account may not use the directory, that it is a link, or that
	// somebody else's could not be renamed. With readOnly nothing is changed:
	// somebody else's directory gives ErrUnreadable, one that others reach is
	// accepted.
	Claim(path string, readOnly bool) (Recovery, error)
	// Mkdir makes the directory path, which must not exist, in a parent that
	// does. It is closed to all but administrators from its first moment.
	Mkdir(path string) error
	// Create makes the file path likewise and opens it for reading and writing.
	Create(path string) (*os.File, error)
	// Private fails for a file that others than administrators own, may read or
	// may change. The error says what to do about it.
	Private(path string) error
	// Unaltered fails for an open file that others than administrators and the
	// account of this process own or may change.
	Unaltered(file *os.File) error
	// Sealed fails for an open file or directory that others than
	// administrators own or may change. The account of this process is no
	// exception here, since programs that run under it without an
	// administrator's rights could then change it too.
	Sealed(file *os.File) error
}
