//go:build unix

package envconfig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
)

// TestTheConfigurationFileSurvivesAPowerCut shows that what replaces it leaves
// the old or the new one, and the new one once it has returned nil.
func TestTheConfigurationFileSurvivesAPowerCut(t *testing.T) {
	t.Parallel()
	const before, assigned = "A=1\nMUSTER_ENROLLMENT_KEY=cek_x\n", "B='2'\n"
	file := func(path string) string { return filepath.Join(path, "etc", "agent.env") }
	there := func(t *testing.T, path string) {
		is := is.New(t)
		is.NoErr(os.Mkdir(filepath.Dir(file(path)), 0o755))
		is.NoErr(os.WriteFile(file(path), []byte(before), 0o600))
	}
	change := func(path string, around powercut.Around) error {
		return set(&durable.Disk{Around: around}, file(path), []Assignment{{"B", "2"}}, func(string) error { return nil })
	}
	for name, s := range map[string]struct {
		powercut.Scene
		old, done string
	}{
		"set in a new file": {powercut.Scene{Run: change}, "", assigned},
		"set":               {powercut.Scene{Run: change, Prepare: there}, before, before + assigned},
		"the key goes": {powercut.Scene{Prepare: there, Run: func(path string, around powercut.Around) error {
			return removeLines(&durable.Disk{Around: around}, file(path))
		}}, before, "A=1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.Found = func(t *testing.T, path string, err error) {
				found, readErr := os.ReadFile(file(path))
				if readErr != nil && (s.old != "" || err == nil) {
					t.Error(readErr)
				}
				if text := string(found); text != s.done && (err == nil || text != s.old) {
					t.Errorf("it holds %q", text)
				}
			}
			if n := s.Crash(t); n < 5 {
				t.Errorf("only %d steps were seen", n)
			}
		})
	}
}

// TestTheKeyIsNotWrittenAnew shows that a removal whose last step fails does not
// put the enrollment key back on the disk, where nobody would look for it.
func TestTheKeyIsNotWrittenAnew(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.env")
	is.NoErr(os.WriteFile(file, []byte("A=1\nMUSTER_ENROLLMENT_KEY=cek_x\n"), 0o600))
	renamed := false
	err := removeLines(&durable.Disk{Around: func(op durable.Op, path string, call func() error) error {
		renamed = renamed || op == durable.OpRename
		if renamed && op == durable.OpSyncDir {
			return syscall.EIO
		}
		err := call()
		if left, _ := os.ReadFile(file + durable.NewSuffix); strings.Contains(string(left), "cek_x") { // absent is fine
			t.Errorf("after %s of %s the key lies beside the file", op, path)
		}
		return err
	}}, file)
	is.True(errors.Is(err, syscall.EIO))
	text, err := os.ReadFile(file)
	is.NoErr(err)
	is.Equal(string(text), "A=1\n")
}

// TestRootsConfigurationStaysRoots shows that an enrollment key that root sets is
// not given to who owns the directory.
func TestRootsConfigurationStaysRoots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Parallel()
	is := is.New(t)
	file := filepath.Join(t.TempDir(), "agent.env")
	is.NoErr(os.Chown(filepath.Dir(file), 4711, 4711))
	is.NoErr(Set(file, nil, []Assignment{{"B", "2"}}, func(string) error { return nil }))
	info, err := os.Stat(file)
	is.NoErr(err)
	is.Equal(info.Sys().(*syscall.Stat_t).Uid, uint32(0))
}
