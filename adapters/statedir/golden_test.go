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
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// What testdata holds, written by hand: format-1 is a state directory of version
// 1, version-2 has the records that version 2 writes otherwise. Each release
// reads every older version (docs/SPEC.md, "A newer version's files"): these
// files do not change.
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
	pending = ports.PendingIssue{
		Issuer: "https://manager.example.org", Phase: ports.PhasePending, Resume: ports.NewSecret("ept_3f/a?b"), SubmittedAt: noon, Polls: 7,
	}
	received = ports.ReceivedBundle{
		Received: ports.Received{Raw: ports.NewSecret("{\"ca_crt\":\"CA\",\"server_crt\":\"LEAF\",\"server_key\":\"KEY\"}\n"), Renewal: true},
		Issuer:   "https://manager.example.org", ReceivedAt: noon, PreviousKept: true,
	}
	retries = ports.RetryRecord{
		Activities: map[ports.Activity]ports.RetryEntry{
			ports.ActivityRelay: {
				Target: "t1", Attempts: map[ports.DelayClass]int{ports.Operator: 1, ports.Transient: 2},
				LastAttempt: noon, NotBefore: noon.Add(time.Minute), Next: noon.Add(2 * time.Minute), Class: ports.Transient,
				Since: noon.Add(-time.Hour), State: "refused", LastError: "status 401",
				Refusal: ports.Refusal{
					Since: noon.Add(-time.Hour), Code: ports.RefusedUnknownAgent, Count: 2, CodeSince: noon.Add(-30 * time.Minute),
				},
			},
			ports.ActivitySite: {Attempts: map[ports.DelayClass]int{ports.Pending: 3}},
		},
		Obeyed: map[string]time.Time{ports.FrameReenroll: noon.Add(-3 * time.Hour)},
	}
	privateKey = ports.NewSecret("-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n")
)

const version1, version2 = "testdata/format-1", "testdata/version-2"

func TestGoldenFilesAreRead(t *testing.T) {
	t.Parallel()
	pending1, received1 := pending, received
	pending1.IdempotencyKey = "5f0e7c64-0f5b-4d0c-9d43-2f9a7a2b6c11"
	received1.Received, received1.Interpreted = ports.Received{}, &ports.Bundle{
		CA: []byte("CA"), Cert: []byte("LEAF"), Key: ports.NewSecret("KEY"), Chain: []byte("INTER"), CRL: []byte("CRL"),
	}
	for _, tt := range []struct {
		name     string
		folders  []string // the later over the earlier
		pending  ports.PendingIssue
		received ports.ReceivedBundle
	}{
		{"version 1", []string{version1}, pending1, received1},
		{"version 2", []string{version1, version2}, pending, received},
	} {
		t.Run(tt.name, func(t *testing.T) {
			is := is.New(t)
			path := filepath.Join(t.TempDir(), "state")
			for _, folder := range tt.folders {
				place(t, folder, path)
			}
			readAll := func(p ports.Protector) {
				d := openDir(t, path, "2.0.0", p)
				gotIdentity, err := d.LoadIdentity(t.Context())
				is.NoErr(err)
				is.Equal(gotIdentity, identity)
				gotCredential, err := d.Load(t.Context())
				is.NoErr(err)
				is.Equal(gotCredential, credential)
				gotPending, err := d.LoadPending(t.Context())
				is.NoErr(err)
				is.Equal(gotPending, tt.pending)
				gotKey, err := d.LoadKey(t.Context())
				is.NoErr(err)
				is.Equal(gotKey, privateKey)
				gotReceived, err := d.LoadBundle(t.Context())
				is.NoErr(err)
				is.Equal(gotReceived, tt.received)
				gotRetries, err := d.LoadRetries(t.Context())
				is.NoErr(err)
				is.Equal(gotRetries, retries)
			}
			readAll(nil)
			// A system with a protection takes them over, and reads them again.
			p := contracttest.NewMemoryProtector()
			readAll(p)
			for _, name := range []string{"credentials/agent.cak", "enrollment/pending.json", "enrollment/key.pem", "enrollment/bundle.json"} {
				is.True(bytes.Contains(content(t, path, name), []byte(`"protected_by":"dpapi"`))) // name
			}
			readAll(p)
		})
	}
}

// place lays a folder of testdata over the directory at path.
func place(t *testing.T, folder, path string) {
	t.Helper()
	is := is.New(t)
	is.NoErr(filepath.WalkDir(folder, func(from string, entry fs.DirEntry, err error) error {
		is.NoErr(err)
		name, err := filepath.Rel(folder, from)
		is.NoErr(err)
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(path, name), 0o700)
		}
		data, err := os.ReadFile(from)
		is.NoErr(err)
		return os.WriteFile(filepath.Join(path, name), data, 0o600)
	}))
}

func TestGoldenFilesAreWritten(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		folder, version string
		files           []string
	}{
		{version1, "1.0.0", []string{"identity.json", "credentials/agent.cak"}},
		{version2, "2.0.0", []string{"enrollment/pending.json", "enrollment/bundle.json", "enrollment/retry.json"}},
	} {
		is := is.New(t)
		path := filepath.Join(t.TempDir(), "state")
		d := openDir(t, path, tt.version, nil)
		is.NoErr(d.SaveIdentity(t.Context(), identity))
		is.NoErr(d.Save(t.Context(), credential))
		is.NoErr(d.SavePending(t.Context(), pending))
		is.NoErr(d.SaveKey(t.Context(), privateKey))
		is.NoErr(d.SaveBundle(t.Context(), received))
		is.NoErr(d.SaveRetries(t.Context(), retries))
		for _, name := range tt.files {
			is.Equal(record(t, path, name), record(t, tt.folder, name)) // as in testdata
		}
		is.True(bytes.Equal(content(t, path, "enrollment/key.pem"), content(t, version1, "enrollment/key.pem")))
	}
}

func openDir(t *testing.T, path, version string, p ports.Protector) *statedir.Dir {
	t.Helper()
	d, err := statedir.Open(path, statedir.Options{
		Version: version, Protector: p, Recovered: func(r ports.Recovery) { t.Errorf("recovered from %+v", r) },
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
