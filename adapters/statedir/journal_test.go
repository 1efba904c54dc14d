package statedir

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/ports"
)

// TestSyncs counts the syncs of an enrollment at a site as the agent makes it:
// each is a wait for the disk, and none is needless.
func TestSyncs(t *testing.T) {
	t.Parallel()
	d := open(t, newDir(t), Options{})
	for _, step := range []struct {
		what string
		call func() error
		want int
	}{
		{"the identity, with all folders", func() error { return d.SaveIdentity(t.Context(), identity(1)) }, 2},
		{"an attempt", func() error { return d.SaveRetries(t.Context(), retries(1)) }, 2},
		{"room", func() error { return d.Reserve(t.Context()) }, 1},
		{"the key into it", func() error { return d.Save(t.Context(), credential(1)) }, 2},
		{"success", func() error { return d.SaveRetries(t.Context(), retries(2)) }, 2},
		{"room for a bundle", func() error { return d.ReserveBundle(t.Context()) }, 1},
		{"the bundle into it", func() error { return d.SaveBundle(t.Context(), received(1)) }, 2},
	} {
		var made calls
		d.disk.Around = made.around
		disktest.Must(t, step.call())
		if made.syncs() != step.want {
			t.Errorf("%s: %d syncs, want %d: %q", step.what, made.syncs(), step.want, made)
		}
	}

	// Folders that went and are made again are new names.
	_, err := d.RemoveEnrollment(t.Context())
	disktest.Must(t, err)
	var remade calls
	d.disk.Around = remade.around
	disktest.Must(t, d.SaveRetries(t.Context(), retries(3)))
	is.New(t).Equal(remade.syncs(), 3)

	// A folder that this process has found may be one that was never synced.
	var made calls
	d = open(t, d.path, Options{})
	d.disk.Around = made.around
	disktest.Must(t, d.SaveRetries(t.Context(), retries(3)))
	is.New(t).Equal(made.syncs(), 3)
}

func TestReserveBundleCostsNothingTwice(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	is.NoErr(d.ReserveBundle(t.Context()))
	placeholder := filepath.Join(path, "enrollment/bundle.json.new")
	is.Equal(size(t, placeholder), int64(bundleRoom))

	var made calls
	d.disk.Around = made.around
	is.NoErr(d.ReserveBundle(t.Context()))
	for _, op := range made {
		is.True(op == durable.OpOpen || op == durable.OpStat) // looks only
	}
	d.disk.Around = nil

	for _, harm := range []func() error{
		func() error { return os.Remove(placeholder) },
		func() error { return os.Truncate(placeholder, 100) },
		func() error { return os.RemoveAll(filepath.Join(path, "enrollment")) },
	} {
		is.NoErr(harm())
		is.NoErr(d.ReserveBundle(t.Context()))
		is.Equal(size(t, placeholder), int64(bundleRoom))
	}
}

func TestRejectBundle(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := open(t, path, Options{Now: func() time.Time { return now }})
	_, err := d.RejectBundle(t.Context())
	is.True(errors.Is(err, ports.ErrNotStored))
	is.NoErr(d.ReserveBundle(t.Context()))
	for n := range 5 {
		is.NoErr(d.SaveBundle(t.Context(), received(n)))
		is.NoErr(d.ReserveBundle(t.Context()))
		where, err := d.RejectBundle(t.Context())
		is.NoErr(err)
		b, err := d.bundle.judge(where, []byte(disktest.Read(t, where)))
		is.NoErr(err)
		is.True(b.(ports.ReceivedBundle).Raw.Equal(received(n).Raw))
		_, err = d.LoadBundle(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored))
	}
	is.Equal(disktest.Tree(t, path), []string{
		"enrollment/bundle.json.new", // room for the next
		"enrollment/rejected/bundle-20260102T030405.000000002Z.json",
		"enrollment/rejected/bundle-20260102T030405.000000003Z.json",
		"enrollment/rejected/bundle-20260102T030405.000000004Z.json",
	})
	facts, err := d.Facts(t.Context())
	is.NoErr(err)
	is.Equal(len(facts.Rejected), 3)
	is.Equal(len(facts.Damaged), 0)
	is.NoErr(d.EraseBundle(t.Context()))
	is.Equal(len(disktest.Tree(t, path)), 3) // evidence stays

	// A file in the folder's place is set aside.
	is.NoErr(os.RemoveAll(filepath.Join(path, "enrollment/rejected")))
	disktest.Write(t, filepath.Join(path, "enrollment/rejected"), "mine")
	is.NoErr(d.SaveBundle(t.Context(), received(1)))
	where, err := d.RejectBundle(t.Context())
	is.NoErr(err)
	is.Equal(filepath.Dir(where), filepath.Join(path, "enrollment/rejected"))
}

// TestRejectBundleFails fails each step: the bundle then still is where it was.
func TestRejectBundleFails(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for at := 1; ; at++ {
		path := newDir(t)
		d := open(t, path, Options{})
		is.NoErr(d.SaveBundle(t.Context(), received(1)))
		step := 0
		d.disk.Around = func(_ durable.Op, _ string, call func() error) error {
			if step++; step == at {
				return os.ErrPermission
			}
			return call()
		}
		where, err := d.RejectBundle(t.Context())
		d.disk.Around = nil
		b, loadErr := d.LoadBundle(t.Context())
		if err == nil {
			is.True(errors.Is(loadErr, ports.ErrNotStored))
			is.Equal(disktest.Tree(t, path), []string{"enrollment/rejected/" + filepath.Base(where)})
			if step < at {
				break
			}
			continue // what failed could be done without
		}
		is.True(errors.Is(err, ports.ErrNotWritten) || errors.Is(err, ports.ErrUnreadable))
		is.NoErr(loadErr)
		is.True(b.Raw.Equal(received(1).Raw))
	}
}

// TestEraseLeavesEvidence shows that the journal's erasing, which is part of
// every enrollment, does not remove what was set aside.
func TestEraseLeavesEvidence(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if s.erase == nil {
			continue
		}
		is := is.New(t)
		path := newDir(t)
		d := open(t, path, Options{})
		is.NoErr(s.erase(d)) // nothing is there
		is.Equal(len(disktest.Tree(t, path)), 0)
		disktest.Write(t, filepath.Join(path, s.file), "evidence")
		is.NoErr(s.erase(d)) // without a load before
		left := disktest.Tree(t, path)
		is.Equal(len(left), 1)
		is.Equal(disktest.Read(t, filepath.Join(path, left[0])), "evidence")

		is.NoErr(s.save(d, 1))
		is.NoErr(os.Rename(filepath.Join(path, s.file), filepath.Join(path, s.file+".new"))) // interrupted
		is.NoErr(s.erase(d))
		is.Equal(disktest.Tree(t, path), left)
		is.True(errors.Is(second(s.load(d)), ports.ErrNotStored))
	}
}

// TestRemovalIsSynced shows that what is gone does not come back with a power
// cut.
func TestRemovalIsSynced(t *testing.T) {
	t.Parallel()
	d := open(t, newDir(t), Options{})
	for _, s := range subjects {
		if s.erase == nil {
			continue
		}
		t.Run(strings.ReplaceAll(s.file, "/", " "), func(t *testing.T) {
			is := is.New(t)
			d.disk.Around = nil
			is.NoErr(s.save(d, 1))
			var made calls
			d.disk.Around = made.around
			is.NoErr(s.erase(d))
			is.True(len(made) > 0)
			is.Equal(made[len(made)-1], durable.OpSyncDir) // after the removal
		})
	}
}

// TestKeyFile shows that the key's file is one that other programs read.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	is.NoErr(d.SaveKey(t.Context(), privateKey(1)))
	data := disktest.Read(t, filepath.Join(path, "enrollment/key.pem"))
	block, rest := pem.Decode([]byte(data))
	is.True(block != nil && len(rest) == 0)
	is.Equal(string(pem.EncodeToMemory(block)), privateKey(1).Reveal())
	is.True(strings.HasPrefix(data, "sha256: "))
}

func TestJournalRefusesWhatCouldNotBeLoaded(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	block := privateKey(1).Reveal()
	both, nobody := received(1), received(1)
	both.Interpreted = &ports.Bundle{CA: []byte("x")}
	nobody.Issuer = ""
	binary, unbound, unknown, tokenless := pending(1), pending(1), pending(1), pending(1)
	binary.Resume = ports.NewSecret(canary + "\xff")
	unbound.Issuer = ""
	unknown.Phase = "waiting"
	tokenless.Resume = ports.Secret{}
	for name, err := range map[string]error{
		"no key":                 d.SaveKey(t.Context(), ports.Secret{}),
		"text before the key":    d.SaveKey(t.Context(), ports.NewSecret("x\n"+block)),
		"two keys":               d.SaveKey(t.Context(), ports.NewSecret(block+block)),
		"half a key":             d.SaveKey(t.Context(), ports.NewSecret(block[:len(block)/2])),
		"two answers":            d.SaveBundle(t.Context(), both),
		"a bundle of nobody":     d.SaveBundle(t.Context(), nobody),
		"a token that is bytes":  d.SavePending(t.Context(), binary),
		"a token without a host": d.SavePending(t.Context(), unbound),
		"an unknown phase":       d.SavePending(t.Context(), unknown),
		"no phase":               d.SavePending(t.Context(), ports.PendingIssue{Issuer: "https://manager.example.org"}),
		"pending without token":  d.SavePending(t.Context(), tokenless),
	} {
		if !errors.Is(err, ports.ErrNotWritten) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), canary[:12]) {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
	is.True(slices.Equal(disktest.Tree(t, path), nil))
}

// TestPhase shows that a record of format 1 says its phase by what it holds, and
// one of this format in so many words only.
func TestPhase(t *testing.T) {
	t.Parallel()
	path := newDir(t)
	for _, tt := range []struct {
		format int
		member string
		want   ports.IssuePhase // "" for damaged
	}{
		{1, `"idempotency_key":"k","polling_token":"t"`, ports.PhasePending},
		{1, `"polling_token":"t"`, ports.PhasePending},
		{1, `"idempotency_key":"k","polls":3`, ports.PhaseSubmitted},
		{1, `"polls":3`, ports.PhaseIdle},
		{3, `"phase":"idle","polling_token":"t"`, ports.PhaseIdle},
		{3, `"polling_token":"t"`, ""},
		{3, `"phase":"waiting","polling_token":"t"`, ""},
		{3, `"phase":"pending"`, ""},
	} {
		data, err := seal(tt.format, "1.0.0", []byte(`{"manager_url":"https://manager.example.org",`+tt.member+`}`))
		disktest.Must(t, err)
		disktest.Write(t, filepath.Join(path, "enrollment/pending.json"), string(data))
		got, err := open(t, path, Options{}).LoadPending(t.Context())
		if got.Phase != tt.want || errors.Is(err, ports.ErrDamaged) != (tt.want == "") {
			t.Errorf("format %d with %s: phase %q, %v", tt.format, tt.member, got.Phase, err)
		}
	}
}
