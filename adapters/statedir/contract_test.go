package statedir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

func place(opts Options) func(t *testing.T) func() *Dir {
	return func(t *testing.T) func() *Dir {
		path := newDir(t)
		return func() *Dir {
			opts := opts
			opts.Version, opts.Recovered = "1.0.0", func(r ports.Recovery) { t.Errorf("recovered from %+v", r) }
			return open(t, path, opts)
		}
	}
}

func TestContracts(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{
		"files":              {},
		"protected, guarded": {Protector: contracttest.NewMemoryProtector(), Guard: new(contracttest.RecordingGuard)},
	} {
		t.Run(name, func(t *testing.T) {
			place, troubled := place(opts), troubled(opts)
			t.Run("CredentialStore", func(t *testing.T) { contracttest.CredentialStore(t, place) })
			t.Run("IdentityStore", func(t *testing.T) { contracttest.IdentityStore(t, place) })
			t.Run("RetryStore", func(t *testing.T) { contracttest.RetryStore(t, place) })
			t.Run("IssueJournal", func(t *testing.T) { contracttest.IssueJournal(t, place) })
			t.Run("StateDirectory", func(t *testing.T) { contracttest.StateDirectory(t, place) })
			t.Run("StoreTroubles", func(t *testing.T) { contracttest.StoreTroubles(t, troubled) })
		})
	}
}

// troubled is a directory on a disk that fails, or whose files someone
// changes.
func troubled(opts Options) func(t *testing.T) contracttest.TroubledPlace[*Dir] {
	return func(t *testing.T) contracttest.TroubledPlace[*Dir] {
		path := newDir(t)
		var around func(op durable.Op, path string, call func() error) error
		return contracttest.TroubledPlace[*Dir]{
			Open: func() *Dir {
				opts := opts
				opts.Version = "1.0.0"
				d := open(t, path, opts)
				d.disk.Around = func(op durable.Op, path string, call func() error) error {
					if around != nil {
						return around(op, path, call)
					}
					return powercut.Unsynced(op, path, call)
				}
				return d
			},
			Inflict: func(r contracttest.Record, trouble contracttest.Trouble) (end func()) {
				file := filepath.Join(path, filepath.FromSlash(fileOf[r]))
				sound := disktest.Read(t, file)
				switch trouble {
				case contracttest.NoSpace:
					around = func(op durable.Op, path string, call func() error) error {
						if op == durable.OpWrite {
							return syscall.ENOSPC
						}
						return powercut.Unsynced(op, path, call)
					}
				case contracttest.Unreadable:
					around = func(op durable.Op, path string, call func() error) error {
						if op == durable.OpRead && strings.HasPrefix(path, file) {
							return fs.ErrPermission
						}
						return powercut.Unsynced(op, path, call)
					}
				case contracttest.Damaged:
					disktest.Must(t, os.Truncate(file, int64(len(sound)/2)))
				case contracttest.NewerFormat:
					newer, err := seal(99, "9.8.7", []byte(`"a form not known yet"`))
					disktest.Must(t, err)
					disktest.Write(t, file, string(newer))
					return func() {
						if disktest.Read(t, file) != string(newer) {
							t.Error("it was written over")
						}
						disktest.Write(t, file, sound)
					}
				}
				return func() { around = nil }
			},
		}
	}
}

var fileOf = map[contracttest.Record]string{
	contracttest.RecordCredential: "credentials/agent.cak",
	contracttest.RecordIdentity:   "identity.json",
	contracttest.RecordRetries:    "enrollment/retry.json",
	contracttest.RecordPending:    "enrollment/pending.json",
	contracttest.RecordKey:        "enrollment/key.pem",
	contracttest.RecordBundle:     "enrollment/bundle.json",
}
