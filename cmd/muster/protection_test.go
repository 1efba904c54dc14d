package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestWhatIsMadeInBetweenIsClaimedToo shows that a directory that somebody made
// between the claim and the making is not used.
func TestWhatIsMadeInBetweenIsClaimedToo(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "Muster")
	guard := &squatter{times: 2}
	told := 0
	is.NoErr(claimOrMake(guard, dir, func(ports.Recovery) { told++ }))
	is.Equal(told, 2)
	info, err := os.Stat(dir)
	is.NoErr(err)
	is.True(info.IsDir())

	guard = &squatter{times: 1000}
	err = claimOrMake(guard, dir, func(ports.Recovery) {})
	is.True(errors.Is(err, fs.ErrExist))
	is.Equal(guard.aside, claimTries)
}

// TestTheWrongAccountOnAFreshMachine shows that who may not make the state
// directory is told so before anything else, and that what may pass is left to
// the store.
func TestTheWrongAccountOnAFreshMachine(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "Muster")
	told := func(ports.Recovery) {}
	err := claimState(&powerless{err: fs.ErrPermission}, dir, false, told)
	is.True(errors.Is(err, fs.ErrPermission))
	is.True(strings.Contains(err.Error(), "muster service install"))
	is.NoErr(claimState(&powerless{err: fs.ErrPermission}, dir, true, told)) // who only reads makes nothing
	is.NoErr(claimState(&powerless{err: fs.ErrNotExist}, dir, false, told))  // a parent is missing
	is.NoErr(claimState(&powerless{err: errors.New("disk full")}, dir, false, told))
	denied := &contracttest.RecordingGuard{Denied: ports.ErrUnreadable}
	is.True(errors.Is(claimState(denied, dir, false, told), ports.ErrUnreadable))
	is.NoErr(claimState(nil, dir, false, told))
}

// TestACertificatesDirectoryOfSomebodyElse shows that a CA that an ordinary
// user left in the state directory is not trusted.
func TestACertificatesDirectoryOfSomebodyElse(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	certs := filepath.Join(dir, "certs")
	is.NoErr(os.Mkdir(certs, 0o700))
	guard := &foreignAt{path: certs}
	var told []ports.Recovery
	is.True(errors.Is(claimState(guard, dir, true, func(ports.Recovery) {}), ports.ErrUnreadable))
	is.NoErr(claimState(guard, dir, false, func(r ports.Recovery) { told = append(told, r) }))
	is.Equal(len(told), 1)
	_, err := os.Stat(certs)
	is.True(errors.Is(err, fs.ErrNotExist))
}

// TestWhatOthersWroteDoesNotBecomeOurs shows that the installer does not take
// over a configuration that an ordinary user left in the directory.
func TestWhatOthersWroteDoesNotBecomeOurs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	file := filepath.Join(t.TempDir(), "agent.env")
	const evil = "MUSTER_MANAGER_URL=https://evil.example\n"
	is.NoErr(os.WriteFile(file, []byte(evil), 0o600))
	set := func(guard ports.Guard) error {
		p := &program{
			environ: []string{"MUSTER_STATE_DIR=" + filepath.Dir(file)}, configFile: file,
			stdin: strings.NewReader("MUSTER_LOG_LEVEL=debug\n"), stdout: &output{to: new(bytes.Buffer)}, stderr: new(bytes.Buffer),
		}
		return p.setConfig(guard)
	}
	err := set(&alteredAt{path: file})
	is.True(err != nil)
	is.True(strings.Contains(err.Error(), "Users may write it"))
	content, err := os.ReadFile(file)
	is.NoErr(err)
	is.Equal(string(content), evil)
	entries, err := os.ReadDir(filepath.Dir(file))
	is.NoErr(err)
	is.Equal(len(entries), 1)
	is.NoErr(set(new(contracttest.RecordingGuard))) // the test can fail
}

// TestTheInstallersDirectoryIsClaimed shows that the default directory is seen
// to, and that one which a person named is not.
func TestTheInstallersDirectoryIsClaimed(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := filepath.Join(t.TempDir(), "Muster")
	for file, want := range map[string]bool{"": true, filepath.Join(dir, "agent.env"): false} {
		guard := new(contracttest.RecordingGuard)
		p := &program{configFile: file, stderr: new(bytes.Buffer)}
		is.NoErr(p.configFolder(dir, guard))
		is.Equal(len(guard.Log) > 0, want)
		is.NoErr(os.RemoveAll(dir))
	}
}
