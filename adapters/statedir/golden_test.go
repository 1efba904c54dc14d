package statedir_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/ports"
)

// What testdata/format-1 holds, a state directory written by hand. Each release
// reads every older version (docs/SPEC.md, "A newer version's files"): these files
// do not change.
var (
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	identity = ports.Identity{
		AgentID:    "0b7e8a52-6a4f-4f0e-9b0c-0d8f3c1b2a34",
		MachineUID: "muid_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		Source:     ports.SourceSystemUUID,
		Salt:       []byte{1, 2, 3},
		Hashes:     map[ports.SignalKind]string{ports.SignalSystemUUID: "ab"},
		CreatedAt:  noon,
	}
	credential = ports.Credential{
		Key: ports.NewSecret("cak_9c41f2b86e0d75aa"), ServerURL: "https://enroll.example.org", SiteCode: "ACME-HQ",
		MachineUID: identity.MachineUID, StoredAt: noon.Add(1), Identity: identity,
	}
	pending = ports.PendingEnrollment{
		ManagerURL: "https://manager.example.org", IdempotencyKey: "5f0e7c64-0f5b-4d0c-9d43-2f9a7a2b6c11",
		Token: ports.NewSecret("ept_3f/a?b"), RegisteredAt: noon, Polls: 7,
	}
	received = ports.ReceivedBundle{
		ManagerURL: "https://manager.example.org", ReceivedAt: noon, PreviousKept: true,
		Renewed: &ports.Bundle{CA: []byte("CA"), Cert: []byte("LEAF"), Key: ports.NewSecret("KEY"), Chain: []byte("INTER"), CRL: []byte("CRL")},
	}
	retries = ports.RetryRecord{
		Activities: map[ports.Activity]ports.RetryEntry{
			ports.ActivityRelay: {
				Target: "t1", Attempts: map[ports.DelayClass]int{ports.Operator: 1, ports.Transient: 2},
				LastAttempt: noon, NotBefore: noon.Add(time.Minute), Next: noon.Add(2 * time.Minute), Class: ports.Transient,
				Since: noon.Add(-time.Hour), State: "refused", LastError: "status 401",
				Refusal: ports.Refusal{
					Since: noon.Add(-time.Hour), Code: ports.RefusedUnknownAgent, Count: 2,
					CodeSince: noon.Add(-30 * time.Minute), LastEnroll: noon.Add(-2 * time.Hour),
				},
			},
			ports.ActivitySite: {Attempts: map[ports.DelayClass]int{ports.Pending: 3}},
		},
		Obeyed: map[string]time.Time{ports.FrameReenroll: noon.Add(-3 * time.Hour)},
	}
	privateKey = ports.NewSecret("-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n")
)

const written = "testdata/format-1"

func TestGoldenFilesAreRead(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "state")
	d := openDir(t, path)
	is.NoErr(filepath.WalkDir(written, func(from string, entry fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(written, from)
		is.NoErr(relErr)
		if err != nil || entry.IsDir() {
			is.NoErr(os.MkdirAll(filepath.Join(path, name), 0o700))
			return err
		}
		data, err := os.ReadFile(from)
		is.NoErr(err)
		return os.WriteFile(filepath.Join(path, name), data, 0o600)
	}))
	gotIdentity, err := d.LoadIdentity(t.Context())
	is.NoErr(err)
	is.Equal(gotIdentity, identity)
	gotCredential, err := d.Load(t.Context())
	is.NoErr(err)
	is.Equal(gotCredential, credential)
	gotPending, err := d.LoadPending(t.Context())
	is.NoErr(err)
	is.Equal(gotPending, pending)
	gotKey, err := d.LoadKey(t.Context())
	is.NoErr(err)
	is.Equal(gotKey, privateKey)
	gotReceived, err := d.LoadBundle(t.Context())
	is.NoErr(err)
	is.Equal(gotReceived, received)
	gotRetries, err := d.LoadRetries(t.Context())
	is.NoErr(err)
	is.Equal(gotRetries, retries)
}

func TestGoldenFilesAreWritten(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "state")
	d := openDir(t, path)
	is.NoErr(d.SaveIdentity(t.Context(), identity))
	is.NoErr(d.Save(t.Context(), credential))
	is.NoErr(d.SavePending(t.Context(), pending))
	is.NoErr(d.SaveKey(t.Context(), privateKey))
	is.NoErr(d.SaveBundle(t.Context(), received))
	is.NoErr(d.SaveRetries(t.Context(), retries))
	for _, name := range []string{"identity.json", "credentials/agent.cak", "enrollment/pending.json", "enrollment/bundle.json", "enrollment/retry.json"} {
		is.Equal(record(t, path, name), record(t, written, name)) // as in testdata
	}
	is.True(bytes.Equal(content(t, path, "enrollment/key.pem"), content(t, written, "enrollment/key.pem")))
}

func openDir(t *testing.T, path string) *statedir.Dir {
	t.Helper()
	d, err := statedir.Open(path, statedir.Options{
		Version: "1.0.0", Recovered: func(r ports.Recovery) { t.Errorf("recovered from %+v", r) },
	})
	is.New(t).NoErr(err)
	return d
}

// record is a record without its checksum, which is of the payload's bytes.
func record(t *testing.T, path, name string) (members map[string]any) {
	t.Helper()
	is := is.New(t)
	is.NoErr(json.Unmarshal(content(t, path, name), &members))
	is.True(members["sha256"] != nil)
	delete(members, "sha256")
	return members
}

func content(t *testing.T, path, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path, filepath.FromSlash(name)))
	is.New(t).NoErr(err)
	return data
}
