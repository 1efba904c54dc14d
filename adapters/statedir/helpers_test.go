package statedir

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
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

// size is a file's, in bytes.
func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	disktest.Must(t, err)
	return info.Size()
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
	disktest.Must(t, err)
	return d
}

// calls keeps the names of the calls to the file system.
type calls []durable.Op

func (c *calls) around(op durable.Op, _ string, call func() error) error {
	*c = append(*c, op)
	return call()
}

func (c calls) syncs() (n int) {
	for _, op := range c {
		if op == durable.OpSync || op == durable.OpSyncDir {
			n++
		}
	}
	return n
}

// furnish fills a state directory with everything that may lie in it.
func furnish(t testing.TB, path string) *Dir {
	t.Helper()
	d := open(t, path, Options{})
	d.disk.Around = powercut.Unsynced
	for _, s := range subjects {
		disktest.Write(t, filepath.Join(path, s.file), "damaged "+s.file)
		_, err := s.load(d)
		if !errors.Is(err, ports.ErrDamaged) {
			t.Fatal(err)
		}
		disktest.Must(t, s.save(d, 1))
	}
	for _, name := range []string{
		"agent.lock", "agent.sock", "enrollment/rejected/1.json",
		"certs/ca.pem", "certs/server.key.pem", "certs/server.pem.previous", "credentials.damaged-x/agent.cak", "notes.txt",
	} {
		disktest.Write(t, filepath.Join(path, name), name)
	}
	disktest.Must(t, errors.Join(d.Reserve(t.Context()), d.ReserveBundle(t.Context())))
	d.disk.Around = nil
	return d
}
