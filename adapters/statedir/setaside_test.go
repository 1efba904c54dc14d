package statedir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// furnish fills a state directory with everything that may lie in it.
func furnish(t testing.TB, path string) *Dir {
	t.Helper()
	d := open(t, path, Options{})
	d.disk.Around = unsynced
	for _, s := range subjects {
		write(t, filepath.Join(path, s.file), []byte("damaged "+s.file))
		_, err := s.load(d)
		if !errors.Is(err, ports.ErrDamaged) {
			t.Fatal(err)
		}
		must(t, s.save(d, 1))
	}
	for _, name := range []string{
		"agent.lock", "agent.sock", "enrollment/rejected/1.json",
		"certs/ca.pem", "certs/server.key.pem", "certs/server.pem.previous", "credentials.damaged-x/agent.cak", "notes.txt",
	} {
		write(t, filepath.Join(path, name), []byte(name))
	}
	must(t, errors.Join(d.Reserve(t.Context()), d.ReserveBundle(t.Context())))
	d.disk.Around = nil
	return d
}

func TestSetAside(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	where, err := d.SetAside(t.Context())
	is.NoErr(err)
	is.Equal(where, "") // nothing is stored

	d = furnish(t, path)
	before := tree(t, path)
	where, err = d.SetAside(t.Context())
	is.NoErr(err)
	is.Equal(filepath.Dir(where), path)
	is.True(strings.HasPrefix(filepath.Base(where), "cloned-20"))
	is.Equal(len(tree(t, where)), len(before)-3)
	var left []string
	for _, name := range tree(t, path) {
		if !strings.HasPrefix(name, "cloned-") {
			left = append(left, name)
		}
	}
	is.Equal(left, []string{"agent.lock", "agent.sock", "notes.txt"})

	// Another clone of the clone, which leaves the first part where it is.
	is.NoErr(d.Reserve(t.Context()))
	is.NoErr(d.Save(t.Context(), credential(2)))
	second, err := d.SetAside(t.Context())
	is.NoErr(err)
	is.True(second != where)
	is.Equal(tree(t, second), []string{"credentials/agent.cak"})
}

func TestRemoveEnrollment(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	removed, err := open(t, path, Options{}).RemoveEnrollment(t.Context())
	is.NoErr(err)
	is.Equal(len(removed), 0)

	_, err = furnish(t, path).SetAside(t.Context())
	is.NoErr(err)
	outside := filepath.Join(t.TempDir(), "kept")
	write(t, outside, []byte("kept"))
	d := furnish(t, path)
	is.NoErr(os.Symlink(outside, filepath.Join(path, "certs", "link")))
	before := tree(t, path)
	removed, err = d.RemoveEnrollment(t.Context())
	is.NoErr(err)
	left := tree(t, path)
	is.Equal(len(removed)+len(left), len(before))
	is.Equal(len(left), 5)
	for i, want := range []string{"agent.lock", "agent.sock", "identity.json", "identity.json.damaged-", "notes.txt"} {
		is.True(strings.HasPrefix(left[i], want))
	}
	is.Equal(read(t, outside), []byte("kept"))
	subjects[1].loads(t, d, 1)

	removed, err = d.RemoveEnrollment(t.Context())
	is.NoErr(err)
	is.Equal(len(removed), 0)
	is.NoErr(d.Reserve(t.Context()))
	is.NoErr(d.Save(t.Context(), credential(2)))
	subjects[0].loads(t, open(t, path, Options{}), 2)
}

// TestNamesSortAsTheyWereGiven shows that a clock set back does not make the
// newest copy the first to go.
func TestNamesSortAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	now := time.Date(2099, 1, 2, 3, 4, 5, 999999999, time.UTC)
	d := open(t, path, Options{Now: func() time.Time { return now }})
	for n := range 5 {
		write(t, filepath.Join(path, "identity.json"), []byte{byte('0' + n)})
		_, err := d.LoadIdentity(t.Context())
		is.True(errors.Is(err, ports.ErrDamaged))
		now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	var kept []byte
	for _, name := range tree(t, path) {
		kept = append(kept, read(t, filepath.Join(path, name))...)
	}
	is.Equal(string(kept), "234")
}
