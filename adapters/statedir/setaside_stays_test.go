package statedir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"
)

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
