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

// squatter is a ports.Guard in a place where somebody else makes the directory
// anew as soon as it is put aside, for so many times.
type squatter struct {
	contracttest.RecordingGuard
	times, aside int
}

func (s *squatter) Claim(path string, readOnly bool) (ports.Recovery, error) {
	if s.times > 0 {
		s.times--
		s.aside++
		return ports.Recovery{File: path, Action: "set aside"}, fs.ErrNotExist
	}
	return s.RecordingGuard.Claim(path, readOnly)
}

func (s *squatter) Mkdir(path string) error {
	if s.times > 0 {
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
	}
	return s.RecordingGuard.Mkdir(path)
}

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

// powerless is a ports.Guard whose account may make nothing.
type powerless struct {
	contracttest.RecordingGuard
	err error
}

func (p *powerless) Mkdir(path string) error {
	return &fs.PathError{Op: "mkdir", Path: path, Err: p.err}
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

// foreignAt is a ports.Guard for which one path is somebody else's.
type foreignAt struct {
	contracttest.RecordingGuard
	path string
}

func (f *foreignAt) Claim(path string, readOnly bool) (ports.Recovery, error) {
	f.Foreign = path == f.path
	return f.RecordingGuard.Claim(path, readOnly)
}

// alteredAt is a ports.Guard for which others may write one file.
type alteredAt struct {
	contracttest.RecordingGuard
	path string
}

func (a *alteredAt) Unaltered(file *os.File) error {
	if file.Name() == a.path {
		return errors.New("Users may write it")
	}
	return nil
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
