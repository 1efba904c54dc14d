package certfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestUnreadable shows that a file without the right to read it is told apart,
// and that it is replaced without being lost.
func TestUnreadable(t *testing.T) {
	is := is.New(t)
	dir := certsDir(t)
	paths := at(dir)
	f := New(paths)
	var got []ports.Recovery
	f.Recovered = func(r ports.Recovery) { got = append(got, r) }
	is.NoErr(f.Install(t.Context(), set("1")))
	contracttest.AsUser(t, dir, func() {
		is.NoErr(os.Chmod(paths.Key, 0))
		is.NoErr(os.Chmod(paths.CA, 0))
		found, err := f.Read(t.Context())
		is.NoErr(err)
		is.Equal(found.Key, ports.FoundKey{Path: paths.Key, Err: ports.FileUnreadable{Reason: "permission denied"}})
		is.Equal(found.CA, ports.FoundFile{Path: paths.CA, Err: ports.FileUnreadable{Reason: "permission denied"}})
		is.Equal(string(found.Server.PEM), "server 1")

		is.NoErr(f.KeepPrevious(t.Context()))
		is.NoErr(f.Install(t.Context(), set("2")))
		holds(t, f, set("2"))
		is.Equal(len(got), 2)
		is.NoErr(os.Chmod(got[1].SetAside, 0o600))
		is.Equal(disktest.Read(t, got[1].SetAside), canary+"1")
	})
}

// TestUnwritable shows what is said where nothing may be written.
func TestUnwritable(t *testing.T) {
	is := is.New(t)
	dir := certsDir(t)
	f := New(at(dir))
	is.NoErr(f.Install(t.Context(), set("1")))
	contracttest.AsUser(t, dir, func() {
		is.NoErr(os.Chmod(dir, 0o500))
		defer func() { is.NoErr(os.Chmod(dir, 0o700)) }()
		holds(t, f, set("1"))
		for _, err := range []error{
			f.KeepPrevious(t.Context()), f.Install(t.Context(), set("2")), f.InstallCRL(t.Context(), []byte("crl")),
			New(at(filepath.Join(dir, "below"))).Install(t.Context(), set("1")),
		} {
			is.True(errors.Is(err, ports.ErrNotWritten))
			is.True(strings.Contains(err.Error(), dir) && strings.Contains(err.Error(), "right to write there"))
			is.True(!strings.Contains(err.Error(), canary[:20]))
		}
		holds(t, f, set("1"))
	})
}

func TestModes(t *testing.T) {
	is := is.New(t)
	defer syscall.Umask(syscall.Umask(0o077))
	dir := certsDir(t)
	f := New(apart(dir))
	for range 2 {
		is.NoErr(f.Install(t.Context(), set("1")))
		is.NoErr(f.KeepPrevious(t.Context()))
	}
	for name, want := range map[string]fs.FileMode{
		".": 0o700, "private": 0o700, "trust": 0o700,
		"trust/ca.pem": 0o644, "server.pem": 0o644, "private/key.pem": 0o600, "trust/crl.pem": 0o644,
		"server.pem.previous": 0o644, "private/key.pem.previous": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		is.NoErr(err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %#o, want %#o", name, info.Mode().Perm(), want)
		}
	}
}

// TestRootGivesFilesToTheOwner shows that what root makes in another user's
// directory is that user's.
func TestRootGivesFilesToTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Parallel()
	is := is.New(t)
	state := certsDir(t)
	is.NoErr(os.Mkdir(state, 0o700))
	is.NoErr(os.Chown(state, contracttest.Nobody, contracttest.Nobody))
	f := New(apart(filepath.Join(state, "certs")))
	for range 2 {
		is.NoErr(f.Install(t.Context(), set("1")))
		is.NoErr(f.KeepPrevious(t.Context()))
	}
	n := 0
	is.NoErr(filepath.WalkDir(state, func(p string, e fs.DirEntry, err error) error {
		is.NoErr(err)
		info, err := e.Info()
		is.NoErr(err)
		if st := info.Sys().(*syscall.Stat_t); st.Uid != contracttest.Nobody || st.Gid != contracttest.Nobody {
			t.Errorf("%s belongs to %d:%d", p, st.Uid, st.Gid)
		}
		n++
		return nil
	}))
	is.Equal(n, 12)
}

// TestSpecialFile shows that a named pipe does not hold anybody up.
func TestSpecialFile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := certsDir(t)
	paths := at(dir)
	is.NoErr(os.Mkdir(dir, 0o700))
	is.NoErr(syscall.Mkfifo(paths.Key, 0o600))
	is.NoErr(os.Symlink(paths.CA, paths.CA)) // and a link to itself neither
	f := New(paths)
	found, err := f.Read(t.Context())
	is.NoErr(err)
	is.Equal(found.Key.Err, ports.FileUnreadable{Reason: "it is a special file"})
	is.True(strings.Contains(fmt.Sprint(found.CA.Err), "cannot be followed"))
	is.NoErr(f.KeepPrevious(t.Context()))
	is.NoErr(f.Install(t.Context(), set("1")))
	holds(t, f, set("1"))
}
