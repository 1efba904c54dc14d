package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/ports"
)

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
	disktest.Write(t, path, "mine")
	d := open(t, path, Options{})
	for _, s := range subjects {
		_, err := s.load(d)
		is.True(errors.Is(err, ports.ErrUnreadable))
		err = s.save(d, 1)
		is.True(errors.Is(err, ports.ErrUnreadable))
	}
	is.Equal(disktest.Read(t, path), "mine")
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
	disktest.Write(t, filepath.Join(path, "enrollment/retry.json"), "garbage")
	disktest.Write(t, filepath.Join(path, "credentials/agent.cak.new"), "half")
	before := disktest.Tree(t, path)
	subjects[1].loads(t, d, 2)
	subjects[0].loads(t, d, 1)
	_, err = d.LoadRetries(t.Context())
	is.True(errors.Is(err, ports.ErrDamaged))
	is.Equal(disktest.Tree(t, path), before)
	is.Equal(len(got), 0)
}

func TestReserveIsRoomOnDisk(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	is.NoErr(d.Reserve(t.Context()))
	is.Equal(size(t, filepath.Join(path, "credentials/agent.cak.new")), int64(credentialRoom))

	// A long key in a full record fits, and lies where the placeholder lay.
	long := credential(2)
	long.Key = ports.NewSecret(canary + strings.Repeat("k", 4096))
	is.NoErr(d.Save(t.Context(), long))
	is.Equal(disktest.Tree(t, path), []string{"credentials/agent.cak"})
	is.True(size(t, filepath.Join(path, "credentials/agent.cak")) < credentialRoom)
}

func TestReadBackCompares(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if !s.is(secret) {
			continue // what is lost of it can be had again
		}
		is := is.New(t)
		d := open(t, newDir(t), Options{})
		is.NoErr(s.save(d, 1))
		d.disk.Around = func(op durable.Op, path string, call func() error) error {
			err := call()
			if op == durable.OpSync && strings.HasSuffix(path, ".new") { // the disk lies
				data := []byte(disktest.Read(t, path))
				data[len(data)/2] ^= 1
				disktest.Must(t, os.WriteFile(path, data, 0o600)) // into the same file
			}
			return err
		}
		is.True(errors.Is(s.save(d, 2), ports.ErrNotWritten))
		s.loads(t, d, 1)
	}
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
	disktest.Write(t, filepath.Join(path, "credentials/agent.cak"), "")
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
