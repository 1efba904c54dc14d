package statedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
)

func TestSetAside(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{})
	where, err := d.SetAside(t.Context())
	is.NoErr(err)
	is.Equal(where, "") // nothing is stored

	d = furnish(t, path)
	before := disktest.Tree(t, path)
	where, err = d.SetAside(t.Context())
	is.NoErr(err)
	is.Equal(filepath.Dir(where), path)
	is.True(strings.HasPrefix(filepath.Base(where), "cloned-20"))
	is.Equal(len(disktest.Tree(t, where)), len(before)-3)
	var left []string
	for _, name := range disktest.Tree(t, path) {
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
	is.Equal(disktest.Tree(t, second), []string{"credentials/agent.cak"})
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
	disktest.Write(t, outside, "kept")
	d := furnish(t, path)
	is.NoErr(os.Symlink(outside, filepath.Join(path, "certs", "link")))
	before := disktest.Tree(t, path)
	removed, err = d.RemoveEnrollment(t.Context())
	is.NoErr(err)
	left := disktest.Tree(t, path)
	is.Equal(len(removed)+len(left), len(before))
	is.Equal(len(left), 5)
	for i, want := range []string{"agent.lock", "agent.sock", "identity.json", "identity.json.damaged-", "notes.txt"} {
		is.True(strings.HasPrefix(left[i], want))
	}
	is.Equal(disktest.Read(t, outside), "kept")
}

// TestWhatIsNoStateStays shows that a copy of a machine keeps its configuration,
// what that names, and its log, which lie in the state directory on Windows.
func TestWhatIsNoStateStays(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	is.NoErr(os.WriteFile(filepath.Join(dir, "agent.env"), []byte("MUSTER_SITE_CODE=A\n"), 0o600))
	for _, name := range []string{"Agent.env", "ca.pem", "key.txt"} {
		is.NoErr(os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	is.NoErr(os.WriteFile(filepath.Join(dir, "identity.json"), []byte("{}"), 0o600))
	is.NoErr(os.Mkdir(filepath.Join(dir, "logs"), 0o700))
	log, err := os.Create(filepath.Join(dir, "logs", "muster.log")) // open, as it is in a service
	is.NoErr(err)
	defer log.Close()
	d, err := Open(dir, Options{})
	is.NoErr(err)
	where, err := d.SetAside(t.Context())
	is.NoErr(err)
	is.True(where != "")
	for _, name := range []string{"agent.env", "Agent.env", "ca.pem", "key.txt", "logs/muster.log"} {
		_, err := os.Stat(filepath.Join(dir, name))
		is.NoErr(err)
	}
	_, err = os.Stat(filepath.Join(dir, "identity.json"))
	is.True(os.IsNotExist(err))
}
