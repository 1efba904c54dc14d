// Package statedir keeps what the agent must remember as files of one
// directory: the API key, which machine this is, when to try again, and an
// enrollment at a manager under way.
//
// Every record is replaced atomically and synced (adapters/internal/durable),
// lies in an envelope that tells damage from a newer version's work
// (envelope.go), and is judged before it is used (recordfile.go). Whatever is
// not sound is set aside and never deleted.
//
// One process at a time may use a directory for writing; the process lock sees
// to that. Open therefore changes nothing but the directory itself, so that it
// may come before the lock: interrupted replacements and damage are dealt with
// by the first call that meets them.
package statedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// What lies in the state directory.
const (
	credentialsFolder = "credentials"
	enrollmentFolder  = "enrollment"
	certsFolder       = "certs"

	credentialFile = "agent.cak"
	identityFile   = "identity.json"
	retryFile      = "retry.json"
	pendingFile    = "pending.json"
	keyFile        = "key.pem"
	bundleFile     = "bundle.json"
	rejectedFolder = "rejected" // in the folder of enrollments

	clonePrefix = "cloned-" // a clone's original's state, moved as a whole
)

// Options of a Dir. The zero value is usable.
type Options struct {
	// ReadOnly never changes anything on disk, not even to recover: what
	// writes fails with ports.ErrNotWritten, and what is damaged is
	// ports.ErrDamaged where it lies, without a report to Recovered.
	ReadOnly bool
	// Recovered is told of every file that was not sound. It is called
	// without a lock held, in the goroutine of the call that met the file.
	Recovered func(ports.Recovery)
	// Version of this program. It is written into each record, so that an
	// older program can say what wrote a format that it does not know.
	Version string
	// Now dates the names of what is set aside; time.Now if nil.
	Now func() time.Time
	// Protector wraps what is secret. Nil is for systems that have none: the
	// files' modes are the protection.
	Protector ports.Protector
	// Guard keeps the directory to administrators where modes do not; nil
	// elsewhere.
	Guard ports.Guard
}

// Dir is a state directory. It implements ports.CredentialStore,
// ports.IdentityStore, ports.RetryStore, ports.IssueJournal and
// ports.StateDirectory. Its methods may be called concurrently; each takes
// effect as a whole.
type Dir struct {
	path string
	opts Options
	disk durable.Disk

	mu         sync.Mutex
	credential record[ports.Credential]
	identity   record[ports.Identity]
	retries    record[ports.RetryRecord]
	pending    record[ports.PendingIssue]
	key        record[ports.Secret]
	bundle     record[ports.ReceivedBundle]
	reports    []ports.Recovery // not yet passed to Recovered
	ignored    map[string]bool  // paths already reported as ignored
}

// Open returns the state directory at path, made with mode 0700 (its missing
// parents 0755) if it is absent. With a Guard, one that somebody else made is
// put aside, and reported by the next call.
//
// It fails only for a path that cannot be used at all. A directory that cannot
// be made, or may not be used as it is, is reported by each call that needs it,
// so that an agent goes on by itself once a person has seen to it.
func Open(path string, opts Options) (*Dir, error) {
	if path == "" {
		return nil, errors.New("open the state directory: no path is given; set MUSTER_STATE_DIR")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the state directory: %w; give MUSTER_STATE_DIR as an absolute path", err)
	}
	d := &Dir{path: path, opts: opts, disk: durable.Disk{Guard: opts.Guard, Now: opts.Now}, ignored: map[string]bool{}}
	d.credential = credentialRecord(d)
	d.identity = identityRecord(d)
	d.retries = retryRecord(d)
	d.pending = pendingRecord(d)
	d.key = keyRecord(d)
	d.bundle = bundleRecord(d)
	if !opts.ReadOnly {
		// Every later call meets the same error and reports it.
		if top, err := d.top(true); err == nil {
			top.Close()
		}
	}
	return d, nil
}

// Path returns the directory's absolute path.
func (d *Dir) Path() string { return d.path }

// begin starts a call: end must be called when it is over.
func (d *Dir) begin(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	if err := ctx.Err(); err != nil {
		d.mu.Unlock()
		return nil, err
	}
	return func() {
		reports := d.reports
		d.reports = nil
		d.mu.Unlock()
		if d.opts.Recovered != nil {
			for _, r := range reports {
				d.opts.Recovered(r)
			}
		}
	}, nil
}

// beginWrite is begin for a call that changes something.
func (d *Dir) beginWrite(ctx context.Context) (end func(), err error) {
	end, err = d.begin(ctx)
	if err == nil && d.opts.ReadOnly {
		end()
		return nil, notWritten(d.path, errors.New("it was opened for reading only"))
	}
	return end, err
}

// change runs a call that changes something.
func (d *Dir) change(ctx context.Context, call func() error) error {
	end, err := d.beginWrite(ctx)
	if err != nil {
		return err
	}
	defer end()
	return call()
}

func (d *Dir) report(r ports.Recovery) { d.reports = append(d.reports, r) }

// top opens the state directory itself; with create it is made if absent. The
// error is of kind ErrNotStored, ErrUnreadable or ErrNotWritten.
func (d *Dir) top(create bool) (*folder, error) {
	opened, err := d.open()
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := d.disk.MkdirAll(d.path, d.mkdir); err != nil {
			return nil, notWritten(d.path, err)
		}
		opened, err = d.open()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", d.path, ports.ErrNotStored)
	}
	if errors.Is(err, ports.ErrUnreadable) {
		return nil, err
	}
	if err != nil {
		return nil, unreadable(d.path, err)
	}
	if err := protect(opened.Root(), d.opts.ReadOnly); err != nil {
		opened.Close()
		return nil, unreadable(d.path, err)
	}
	return &folder{opened, d}, nil
}

// mkdir makes the state directory, or one of its parents.
func (d *Dir) mkdir(path string) error {
	if path != d.path {
		return os.Mkdir(path, 0o755)
	}
	return d.disk.Mkdir(path)
}

// open opens the state directory, which is claimed first.
func (d *Dir) open() (*durable.Folder, error) {
	if err := d.claim(d.path); err != nil {
		return nil, err
	}
	return d.disk.Open(d.path)
}

// claim sees to it that nobody else reaches a directory, before anything in it
// is read or written.
func (d *Dir) claim(path string) error {
	done, err := d.disk.Claim(path, d.opts.ReadOnly)
	if done.File != "" {
		d.report(done)
	}
	return err
}

// folder opens the folder called name, "." for the state directory itself.
// With create, what is missing is made. The error is that of top or child.
func (d *Dir) folder(name string, create bool) (*folder, error) {
	top, err := d.top(create)
	if err != nil {
		return nil, err
	}
	if create && !top.Synced() {
		// Both folders are made before the first sync of the state directory,
		// which makes both durable. What stands in the way of the one that is
		// needed is said below.
		_ = top.Mkdir(credentialsFolder)
		_ = top.Mkdir(enrollmentFolder)
	}
	if name == "." {
		return top, nil
	}
	defer top.Close()
	f, err := top.child(name, create)
	// A folder may be one that a process made and did not live to sync.
	if err == nil && create && !top.Synced() {
		if err := top.Sync(); err != nil {
			f.Close()
			return nil, notWritten(f.Path(), err)
		}
	}
	return f, err
}
