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
	// What somebody else owns is renamed, with all that is in it, and the
	// answer then is that of an absent one; a directory of an administrator
	// that others reach is closed to them. Both are told in what is returned
	// beside the error, which is otherwise zero. An error of kind ErrUnreadable
	// says that this account may not use the directory, that it is a link, or
	// that somebody else's could not be renamed. With readOnly nothing is
	// changed: somebody else's is ErrUnreadable, one that others reach is not.
	Claim(path string, readOnly bool) (Recovery, error)
	// Mkdir makes the directory path, which must not exist, in a parent that
	// does. It is closed to all but administrators from its first moment.
	Mkdir(path string) error
	// Create makes the file path likewise and opens it for reading and writing.
	Create(path string) (*os.File, error)
	// Private fails for a file that others than administrators own, may read or
	// may change. The error says how to see to it.
	Private(path string) error
	// Unaltered fails for an open file that others than administrators and the
	// account of this process own or may change.
	Unaltered(file *os.File) error
	// Sealed fails for an open file or directory that others than
	// administrators own or may change, be it the account of this process,
	// whose programs without an administrator's rights may then do so too.
	Sealed(file *os.File) error
}
