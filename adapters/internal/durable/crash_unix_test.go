//go:build unix

package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
)

var (
	oldText = bytes.Repeat([]byte("old "), 40)
	newText = bytes.Repeat([]byte("newer "), 60)
)

// in opens the directory path and does something in it.
func in(do func(f *durable.Folder) error) func(string, powercut.Around) error {
	return func(path string, around powercut.Around) error {
		f, err := (&durable.Disk{Around: around}).Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return do(f)
	}
}

// holding makes files that hold the old text.
func holding(names ...string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		for _, name := range names {
			is.New(t).NoErr(os.WriteFile(filepath.Join(path, name), oldText, 0o600))
		}
	}
}

// replacements are the ways in which a file is replaced.
var replacements = map[string]struct {
	prepare func(*testing.T, string)
	run     func(f *durable.Folder) error
}{
	"first": {nil, func(f *durable.Folder) error { return f.Replace("file", durable.Content{Data: newText}) }},
	"read back": {holding("file"), func(f *durable.Folder) error {
		return f.Replace("file", durable.Content{Data: newText, ReadBack: true, Old: oldText})
	}},
	"like the old": {holding("file", "file.new"), func(f *durable.Folder) error {
		return f.Replace("file", durable.Content{Data: newText, Like: true, Old: oldText})
	}},
	"first, reserved": {nil, func(f *durable.Folder) error {
		if err := f.Reserve("file", 100, false); err != nil { // less than what comes
			return err
		}
		return f.Replace("file", durable.Content{Data: newText, Reserved: true})
	}},
	"reserved": {holding("file"), func(f *durable.Folder) error {
		if err := errors.Join(f.Reserve("file", 500, false), f.Reserve("file", 500, true)); err != nil {
			return err
		}
		return f.Replace("file", durable.Content{Data: newText, Reserved: true, Old: oldText})
	}},
}

// TestReplaceCrashes stops a replacement before every call and in the middle of
// each write: the old or the new content is there, as a whole.
func TestReplaceCrashes(t *testing.T) {
	t.Parallel()
	for name, r := range replacements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := powercut.Scene{Prepare: r.prepare, Run: in(r.run), Found: func(t *testing.T, path string, err error) {
				found, readErr := os.ReadFile(filepath.Join(path, "file"))
				if err == nil {
					is.New(t).Equal(disktest.Tree(t, path), []string{"file"})
				}
				switch {
				case bytes.Equal(found, newText):
				case err != nil && readErr != nil && r.prepare == nil:
				case err != nil && bytes.Equal(found, oldText):
				default:
					t.Errorf("it holds %q (%v)", found, readErr)
				}
			}}
			if n := s.Crash(t); n < 5 {
				t.Errorf("only %d calls were seen", n)
			}
		})
	}
}

// TestReplaceFails fails each call of a replacement, once or from then on, and
// shows what is there: after an error the old content, and nothing that a start
// would take for an interrupted replacement.
func TestReplaceFails(t *testing.T) {
	t.Parallel()
	for name, r := range replacements {
		for fault, once := range map[error]bool{syscall.ENOSPC: true, syscall.EIO: true, syscall.EROFS: false} {
			t.Run(fmt.Sprintf("%s, %v", name, fault), func(t *testing.T) {
				t.Parallel()
				powercut.Scene{Prepare: r.prepare, Run: in(r.run), Found: func(t *testing.T, path string, err error) {
					if err != nil && !errors.Is(err, fault) {
						t.Errorf("the error is %v", err)
					}
					found, readErr := os.ReadFile(filepath.Join(path, "file"))
					left, _ := os.ReadFile(filepath.Join(path, "file.new"))
					isOld := bytes.Equal(found, oldText) || readErr != nil && r.prepare == nil
					isNew := bytes.Equal(found, newText)
					switch {
					case err == nil && !isNew, err != nil && once && !isOld, !isOld && !isNew:
						t.Errorf("it holds %q (%v), after the error %v", found, readErr, err)
					case err != nil && once && bytes.Equal(left, newText):
						t.Error("what failed lies there as if it had only been interrupted")
					}
				}}.Fail(t, fault, once)
			})
		}
	}
}

// TestSetAsideCrashes shows that what is set aside is there at every moment,
// and at its new name once the call has returned nil.
func TestSetAsideCrashes(t *testing.T) {
	t.Parallel()
	powercut.Scene{
		Prepare: holding("file", "file.damaged-1", "file.damaged-2", "file.damaged-20260102T150405.000000000Z"),
		Run: in(func(f *durable.Folder) error {
			_, err := f.SetAside("file")
			return err
		}),
		Found: func(t *testing.T, path string, err error) {
			kept := disktest.Tree(t, path)
			newest := kept[len(kept)-1]
			if there := kept[0] == "file"; there && err == nil || !there && !strings.HasPrefix(newest, "file.damaged-20") {
				t.Errorf("%q is left, after the error %v", kept, err)
			}
			for _, name := range kept {
				found, err := os.ReadFile(filepath.Join(path, name))
				is.New(t).NoErr(err)
				is.New(t).Equal(string(found), string(oldText))
			}
		},
	}.Crash(t)
}

// TestMkdirAllCrashes shows that what is written in directories that were just
// made is there once all is synced, whatever a process before did not live to
// sync.
func TestMkdirAllCrashes(t *testing.T) {
	t.Parallel()
	for name, unsynced := range map[string]string{"anew": "", "half made": "a", "made": "a/b"} {
		powercut.Scene{
			Prepare: func(t *testing.T, path string) {
				is.New(t).NoErr(os.MkdirAll(filepath.Join(path, filepath.Dir(unsynced)), 0o700))
			},
			Run: func(path string, around powercut.Around) error {
				_ = os.Mkdir(filepath.Join(path, unsynced), 0o700) // by another process
				d, dir := &durable.Disk{Around: around}, filepath.Join(path, "a", "b")
				if err := d.MkdirAll(dir, d.Mkdir); err != nil {
					return err
				}
				return in(func(f *durable.Folder) error { return f.Replace("file", durable.Content{Data: newText}) })(dir, around)
			},
			Found: func(t *testing.T, path string, err error) {
				found, readErr := os.ReadFile(filepath.Join(path, "a", "b", "file"))
				if !bytes.Equal(found, newText) && (err == nil || readErr == nil) {
					t.Errorf("%s: it holds %q (%v)", name, found, readErr)
				}
			},
		}.Crash(t)
	}
}
