package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/envconfig"
	"github.com/muster-agent/muster/adapters/statedir"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestTheStoredKey shows what a shipped agent stores: a blob that tells nothing
// of the key, and that is of no use once any byte of it is changed; the agent
// then goes on as if nothing were stored.
func TestTheStoredKey(t *testing.T) {
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "state")
	var recovered []ports.Recovery
	opts := storeOptions(false)
	opts.Recovered = func(r ports.Recovery) { recovered = append(recovered, r) }
	open := func() *statedir.Dir {
		d, err := statedir.Open(dir, opts)
		is.NoErr(err)
		return d
	}
	d := open()
	is.Equal(d.Protection(), "dpapi")
	is.NoErr(d.Reserve(t.Context()))
	is.NoErr(d.Save(t.Context(), storedCredential()))
	loaded, err := open().Load(t.Context())
	is.NoErr(err)
	is.Equal(loaded.Key.Reveal(), storedKey)
	file := filepath.Join(dir, "credentials", "agent.cak")
	blob, err := os.ReadFile(file)
	is.NoErr(err)
	is.Equal(contracttest.Reveals(blob, ports.NewSecret(storedKey)), "")
	is.True(!bytes.Contains(blob, []byte("enroll.example.org"))) // nor whose it is

	for n := 0; n < len(blob)-1; n += 7 {
		changed := bytes.Clone(blob)
		changed[n] ^= 1
		is.NoErr(os.WriteFile(file, changed, 0o600))
		recovered = nil
		loaded, err := open().Load(t.Context())
		if err == nil && loaded.Key.Reveal() == storedKey {
			continue // a letter's case in the name of a field
		}
		is.True(errors.Is(err, ports.ErrDamaged))
		is.Equal(len(recovered), 1)
		_, err = open().Load(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored))
		is.NoErr(open().Save(t.Context(), storedCredential()))
	}
}

// TestConfigurationOfSomebodyElse shows that a default file in a directory that
// is not ours is not read, and that the wrong account is told before anything
// else.
func TestConfigurationOfSomebodyElse(t *testing.T) {
	is := is.New(t)
	programData := t.TempDir()
	dir := filepath.Join(programData, "Muster")
	is.NoErr(os.Mkdir(dir, 0o700))
	is.NoErr(os.WriteFile(filepath.Join(dir, "agent.env"), []byte("MUSTER_MANAGER_URL=https://evil.example\n"), 0o600))
	source := envconfig.Source{Environ: []string{"ProgramData=" + programData}}
	var stderr bytes.Buffer
	p := &program{stderr: &stderr}

	config, err := p.read(source, aside{})
	is.NoErr(err)
	is.True(config.Settings().ManagerURL != nil) // the test can fail
	_, err = p.read(source, aside{dir: dir, err: ports.ErrUnreadable})
	is.True(errors.Is(err, ports.ErrUnreadable))
	config, err = p.read(source, aside{dir: dir})
	is.NoErr(err)
	is.True(config.Settings().ManagerURL == nil)
	is.True(strings.Contains(stderr.String(), "it belongs to a user"))
	is.True(strings.Contains(stderr.String(), dir+".foreign"))
}
