package statedir

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

const canary = "cak_canary0123456789abcdefghijklmnop"

func credential(n int) ports.Credential {
	return ports.Credential{
		Key:        ports.NewSecret(fmt.Sprintf("%s%d", canary, n)),
		ServerURL:  "https://enroll.example.org",
		SiteCode:   "ACME",
		MachineUID: fmt.Sprintf("muid_%064x", n),
		StoredAt:   time.Date(2026, 1, 2, 3, 4, 5, n, time.UTC),
		Identity:   identity(n),
	}
}

func identity(n int) ports.Identity {
	return ports.Identity{
		AgentID:    "6f1c0f6e-52a4-4d4e-9a39-2d4a3b1c0d9e",
		MachineUID: fmt.Sprintf("muid_%064x", n),
		Source:     ports.SourceSystemUUID,
		Salt:       []byte{1, 2, byte(n)},
		Hashes:     map[ports.SignalKind]string{ports.SignalSystemUUID: "ab"},
		CreatedAt:  time.Date(2026, 1, 2, 3, 4, 5, n, time.UTC),
	}
}

func retries(n int) ports.RetryRecord {
	return ports.RetryRecord{
		Activities: map[ports.Activity]ports.RetryEntry{
			ports.ActivitySite: {Attempts: map[ports.DelayClass]int{ports.Transient: n}, Next: time.Unix(int64(n), 1).UTC()},
		},
		Obeyed: map[string]time.Time{},
	}
}

func pending(n int) ports.PendingIssue {
	return ports.PendingIssue{
		Issuer:         "https://manager.example.org",
		Phase:          ports.PhasePending,
		IdempotencyKey: "0d6e5a0c-6a40-4b0f-8f53-0c8a3f5d7e11",
		Resume:         ports.NewSecret(fmt.Sprintf("%s%d", canary, n)),
		SubmittedAt:    time.Date(2026, 1, 2, 3, 4, 5, n, time.UTC),
		Polls:          n,
	}
}

// privateKey is no key, but PEM.
func privateKey(n int) ports.Secret {
	return ports.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: fmt.Appendf(nil, "%s%d", canary, n)})))
}

func received(n int) ports.ReceivedBundle {
	return ports.ReceivedBundle{
		Received:   ports.Received{Raw: ports.NewSecret(fmt.Sprintf(`{"status":"approved","server_key":"%s%d"}`, canary, n)), Renewal: n%2 == 0},
		Issuer:     "https://manager.example.org",
		ReceivedAt: time.Date(2026, 1, 2, 3, 4, 5, n, time.UTC),
	}
}

// subject is one record of a Dir, whatever its type.
type subject struct {
	file    string
	save    func(d *Dir, n int) error
	load    func(d *Dir) (any, error)
	value   func(n int) any
	erase   func(d *Dir) error // nil if it never is
	reserve func(d *Dir) error // nil if no room is kept for it
}

const (
	private = "credentials/agent.cak identity.json enrollment/pending.json enrollment/key.pem enrollment/bundle.json"
	bare    = "enrollment/key.pem"
)

func (s subject) is(what string) bool { return slices.Contains(strings.Fields(what), s.file) }

var subjects = []subject{
	{
		"credentials/agent.cak",
		func(d *Dir, n int) error { return d.Save(context.Background(), credential(n)) },
		func(d *Dir) (any, error) { return d.Load(context.Background()) },
		func(n int) any { return credential(n) },
		nil,
		func(d *Dir) error { return d.Reserve(context.Background()) },
	},
	{
		"identity.json",
		func(d *Dir, n int) error { return d.SaveIdentity(context.Background(), identity(n)) },
		func(d *Dir) (any, error) { return d.LoadIdentity(context.Background()) },
		func(n int) any { return identity(n) },
		nil, nil,
	},
	{
		"enrollment/retry.json",
		func(d *Dir, n int) error { return d.SaveRetries(context.Background(), retries(n)) },
		func(d *Dir) (any, error) { return d.LoadRetries(context.Background()) },
		func(n int) any { return retries(n) },
		nil, nil,
	},
	{
		"enrollment/pending.json",
		func(d *Dir, n int) error { return d.SavePending(context.Background(), pending(n)) },
		func(d *Dir) (any, error) { return d.LoadPending(context.Background()) },
		func(n int) any { return pending(n) },
		nil, nil,
	},
	{
		"enrollment/key.pem",
		func(d *Dir, n int) error { return d.SaveKey(context.Background(), privateKey(n)) },
		func(d *Dir) (any, error) { return d.LoadKey(context.Background()) },
		func(n int) any { return privateKey(n) },
		func(d *Dir) error { return d.EraseKey(context.Background()) },
		nil,
	},
	{
		"enrollment/bundle.json",
		func(d *Dir, n int) error { return d.SaveBundle(context.Background(), received(n)) },
		func(d *Dir) (any, error) { return d.LoadBundle(context.Background()) },
		func(n int) any { return received(n) },
		func(d *Dir) error { return d.EraseBundle(context.Background()) },
		func(d *Dir) error { return d.ReserveBundle(context.Background()) },
	},
}

// loads fails the test unless the record is the n-th value.
func (s subject) loads(t *testing.T, d *Dir, n int) {
	t.Helper()
	v, err := s.load(d)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if !reflect.DeepEqual(v, s.value(n)) {
		t.Fatalf("loaded %+v, want value %d", v, n)
	}
}

func second(_ any, err error) error { return err }

type recoveries []ports.Recovery

func (r *recoveries) add(x ports.Recovery) { *r = append(*r, x) }

func (r *recoveries) actions() (actions []string) {
	for _, x := range *r {
		actions = append(actions, x.Action)
	}
	return actions
}

func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "state") }

func open(t testing.TB, path string, opts Options) *Dir {
	t.Helper()
	if opts.Version == "" {
		opts.Version = "1.2.3"
	}
	d, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	// Anew: ext4 writes a file that was truncated to the disk at once.
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tree lists what is no directory below path, relative to it.
func tree(t testing.TB, path string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(path, func(p string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			p, err = filepath.Rel(path, p)
			files = append(files, filepath.ToSlash(p))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOpenMakesTheDirectory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "var", "lib", "muster")
	d := open(t, path, Options{})
	is.Equal(d.Path(), path)
	info, err := os.Stat(path)
	is.NoErr(err)
	is.True(info.IsDir())

	is.NoErr(os.RemoveAll(filepath.Dir(path))) // behind our back
	is.NoErr(d.SaveIdentity(t.Context(), identity(1)))
	subjects[1].loads(t, d, 1)

	_, err = Open("", Options{})
	is.True(err != nil)
}

func TestOpenOverAFile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	write(t, path, []byte("mine"))
	d := open(t, path, Options{})
	for _, s := range subjects {
		_, err := s.load(d)
		is.True(errors.Is(err, ports.ErrUnreadable))
		err = s.save(d, 1)
		is.True(errors.Is(err, ports.ErrUnreadable))
	}
	is.Equal(read(t, path), []byte("mine"))
	is.NoErr(os.Remove(path))
	subjects[0].save(d, 1) // heals by itself
	subjects[0].loads(t, d, 1)
}

func TestReadOnlyChangesNothing(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	var got recoveries
	d := open(t, path, Options{ReadOnly: true, Recovered: got.add})
	_, err := os.Lstat(path)
	is.True(errors.Is(err, fs.ErrNotExist))
	for _, s := range subjects {
		_, err := s.load(d)
		is.True(errors.Is(err, ports.ErrNotStored))
		is.True(errors.Is(s.save(d, 1), ports.ErrNotWritten))
		if s.erase != nil {
			is.True(errors.Is(s.erase(d), ports.ErrNotWritten))
		}
		if s.reserve != nil {
			is.True(errors.Is(s.reserve(d), ports.ErrNotWritten))
		}
	}
	_, err = d.RejectBundle(t.Context())
	is.True(errors.Is(err, ports.ErrNotWritten))
	_, err = d.SetAside(t.Context())
	is.True(errors.Is(err, ports.ErrNotWritten))
	_, err = d.RemoveEnrollment(t.Context())
	is.True(errors.Is(err, ports.ErrNotWritten))

	w := open(t, path, Options{})
	is.NoErr(w.SaveIdentity(t.Context(), identity(1)))
	is.NoErr(w.SaveIdentity(t.Context(), identity(2)))
	is.NoErr(w.Save(t.Context(), credential(1)))
	// An interrupted replacement, and a damaged file.
	is.NoErr(os.Rename(filepath.Join(path, "identity.json"), filepath.Join(path, "identity.json.new")))
	write(t, filepath.Join(path, "enrollment/retry.json"), []byte("garbage"))
	write(t, filepath.Join(path, "credentials/agent.cak.new"), []byte("half"))
	before := tree(t, path)
	subjects[1].loads(t, d, 2)
	subjects[0].loads(t, d, 1)
	_, err = d.LoadRetries(t.Context())
	is.True(errors.Is(err, ports.ErrDamaged))
	is.Equal(tree(t, path), before)
	is.Equal(len(got), 0)
}

func TestReserveIsRoomOnDisk(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	is.NoErr(d.Reserve(t.Context()))
	placeholder := filepath.Join(path, "credentials/agent.cak.new")
	before, err := os.Stat(placeholder)
	is.NoErr(err)
	is.Equal(before.Size(), int64(credentialRoom))
	is.True(os.SameFile(before, before)) // Windows looks at the file for it, once
	is.NoErr(d.Save(t.Context(), credential(1)))
	after, err := os.Stat(filepath.Join(path, "credentials/agent.cak"))
	is.NoErr(err)
	is.True(os.SameFile(before, after)) // overwritten where it lay
	is.Equal(tree(t, path), []string{"credentials/agent.cak"})

	// A long key in a full record fits.
	long := credential(2)
	long.Key = ports.NewSecret(canary + strings.Repeat("k", 4096))
	is.NoErr(d.Save(t.Context(), long))
	info, err := os.Stat(filepath.Join(path, "credentials/agent.cak"))
	is.NoErr(err)
	is.True(info.Size() < credentialRoom)
}

func TestReadBackCompares(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	d := open(t, newDir(t), Options{})
	is.NoErr(d.Save(t.Context(), credential(1)))
	d.disk.Around = func(op durable.Op, path string, call func() error) error {
		err := call()
		if op == durable.OpSync && strings.HasSuffix(path, ".new") { // the disk lies
			data := read(t, path)
			data[len(data)/2] ^= 1
			must(t, os.WriteFile(path, data, 0o600)) // into the same file
		}
		return err
	}
	is.True(errors.Is(d.Save(t.Context(), credential(2)), ports.ErrNotWritten))
	subjects[0].loads(t, d, 1)
}

func TestSaveRefusesWhatCouldNotBeLoaded(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	is.NoErr(d.Save(t.Context(), credential(1)))
	is.NoErr(d.SaveIdentity(t.Context(), identity(1)))
	for _, change := range []func(*ports.Credential){
		func(c *ports.Credential) { c.Key = ports.Secret{} },
		func(c *ports.Credential) { c.Key = ports.NewSecret(canary + "\xff") },
		func(c *ports.Credential) { c.ServerURL = "" },
		func(c *ports.Credential) { c.SiteCode = "" },
		func(c *ports.Credential) { c.MachineUID = "" },
		func(c *ports.Credential) { c.StoredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		c := credential(2)
		change(&c)
		err := d.Save(t.Context(), c)
		is.True(errors.Is(err, ports.ErrNotWritten))
		is.True(!strings.Contains(err.Error(), canary[:12]))
	}
	is.True(errors.Is(d.SaveIdentity(t.Context(), ports.Identity{AgentID: "x"}), ports.ErrNotWritten))
	subjects[0].loads(t, d, 1)
	subjects[1].loads(t, d, 1)
}

func TestFacts(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	reader := open(t, path, Options{ReadOnly: true})
	facts, err := reader.Facts(t.Context())
	is.NoErr(err)
	is.Equal(facts, Facts{})

	d := open(t, path, Options{})
	write(t, filepath.Join(path, "credentials/agent.cak"), nil)
	_, err = d.Load(t.Context())
	is.True(errors.Is(err, ports.ErrDamaged))
	facts, err = reader.Facts(t.Context())
	is.NoErr(err)
	is.True(facts.Exists)
	is.Equal(len(facts.Damaged), 1)
	is.True(strings.HasPrefix(facts.Damaged[0], filepath.Join(path, "credentials", "agent.cak.damaged-")))
	where, err := d.SetAside(t.Context())
	is.NoErr(err)
	facts, err = reader.Facts(t.Context())
	is.NoErr(err)
	is.Equal(facts, Facts{Exists: true, Clones: []string{where}})
}

func BenchmarkSave(b *testing.B) {
	d := open(b, newDir(b), Options{})
	b.Run("credential", func(b *testing.B) {
		for b.Loop() {
			if err := d.Save(b.Context(), credential(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reserve and credential", func(b *testing.B) {
		for b.Loop() {
			if err := errors.Join(d.Reserve(b.Context()), d.Save(b.Context(), credential(1))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("retries", func(b *testing.B) {
		for b.Loop() {
			if err := d.SaveRetries(b.Context(), retries(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	d := open(b, newDir(b), Options{})
	if err := d.Save(b.Context(), credential(1)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := d.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
