package ports

import (
	"context"
	"errors"
	"time"
)

// The kinds of errors of every store of the state directory. Each error names
// the file and says what to do; test for its kind with errors.Is.
var (
	// ErrNotStored: there is nothing.
	ErrNotStored = errors.New("not stored")
	// ErrUnreadable: something is there that may not be used as it is: this
	// process may not read it, or others may. Only a person can help; nothing
	// was changed and nothing may be written over it.
	ErrUnreadable = errors.New("cannot be read")
	// ErrDamaged: something was there, was not sound, and has been set aside
	// (or, where the directory cannot be written, is ignored). The caller goes
	// on as if nothing had been stored.
	ErrDamaged = errors.New("damaged")
	// ErrNewerFormat: a later version of the program wrote it. It was left
	// untouched and nothing may be written over it.
	ErrNewerFormat = errors.New("written by a newer version")
	// ErrNotWritten: the write did not happen (no space, quota, read-only, I/O
	// error). What was stored before is still there.
	ErrNotWritten = errors.New("could not be written")
)

// Credential is an API key with everything that says where it may be sent.
type Credential struct {
	Key        Secret
	ServerURL  string // who issued it
	SiteCode   string
	MachineUID string // the machine it was issued to
	StoredAt   time.Time
	// Identity is a copy of the identity record at the time of storing, from
	// which a lost one is rebuilt.
	Identity Identity
}

// CredentialStore keeps the one credential of this machine where the platform
// protects it.
//
// A replacement is atomic and synced: whatever the moment of a crash, Load
// finds the old or the new credential, and the new one once Save has returned
// nil. Calls may be concurrent; each takes effect as a whole. A call returns
// promptly with ctx's error when ctx is done before it starts. No error holds
// a secret.
type CredentialStore interface {
	// Load returns what is stored, or an error of kind ErrNotStored,
	// ErrUnreadable, ErrDamaged or ErrNewerFormat. A complete replacement that
	// a crash interrupted before its last step is finished and returned.
	Load(ctx context.Context) (Credential, error)
	// Reserve writes and syncs a placeholder of a full record's size, so that
	// the Save after it does not fail for want of space. It leaves what is
	// stored untouched. It is called before a key is asked for, because the
	// server shows the key once. It fails with ErrNotWritten, or with
	// ErrUnreadable or ErrNewerFormat where Save would.
	Reserve(ctx context.Context) error
	// Save replaces what is stored, reads it back and compares before it
	// returns nil. It fails with ErrNotWritten, ErrUnreadable or
	// ErrNewerFormat; the former credential then is still stored.
	Save(ctx context.Context, c Credential) error
	// Protection says how the platform protects what is stored: "file" or
	// "dpapi".
	Protection() string
}

// IdentityStore keeps the identity record (identity.json), with the
// guarantees of CredentialStore about crashes, concurrency and errors.
type IdentityStore interface {
	LoadIdentity(ctx context.Context) (Identity, error)
	SaveIdentity(ctx context.Context, id Identity) error
}

// RetryStore keeps the retry record (enrollment/retry.json), with the
// guarantees of CredentialStore about crashes, concurrency and errors.
type RetryStore interface {
	LoadRetries(ctx context.Context) (RetryRecord, error)
	SaveRetries(ctx context.Context, r RetryRecord) error
}

// StateDirectory is all that is stored, as a whole.
type StateDirectory interface {
	// SetAside moves everything that is stored out of the way into one
	// directory, the identity last, and returns that directory's path. Files
	// that others put beside it (a configuration, the CA that it names) stay.
	// After a crash in the middle, calling SetAside again completes the move. A
	// clone does this with its original's state.
	SetAside(ctx context.Context) (where string, err error)
	// Newer fails with an error of kind ErrNewerFormat where a newer version of
	// the program wrote one of the records: only that version knows what is
	// stored. A record that cannot be read for another reason is no error here;
	// a damaged one is set aside, as its Load would do.
	Newer(ctx context.Context) error
	// RemoveEnrollment removes the credential, every record of an enrollment
	// and of attempts, the certificates kept there, what was set aside of these,
	// and what SetAside moved; it returns the paths of the files that are gone,
	// also beside an error. It keeps this machine's identity, so that it stays
	// the same one. A crash in the middle leaves less; calling it again removes
	// the rest. It fails with ErrNotWritten or ErrUnreadable.
	RemoveEnrollment(ctx context.Context) (removed []string, err error)
}

// Recovery is what a store did by itself about a file that was not sound. A
// store reports it through the function it was made with.
type Recovery struct {
	File     string // the file's path
	Action   string // "set aside", "completed an interrupted replacement", "ignored", "repaired"
	SetAside string // where it lies now, if it was set aside
	Reason   string // what was wrong with it
}

// Absent reports that an error of a store says that it has nothing which could
// be used: nothing is stored, or what was is damaged and set aside.
func Absent(err error) bool { return errors.Is(err, ErrNotStored) || errors.Is(err, ErrDamaged) }
