//go:build unix

package certfiles

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
	"github.com/muster-agent/muster/ports"
)

// after opens the files that are found after a restart.
func after(t testing.TB, paths Paths) *Files {
	f := New(paths)
	f.disk.Around = powercut.Unsynced
	f.Recovered = func(r ports.Recovery) { t.Errorf("recovered from %+v", r) }
	return f
}

// call is a call of Files.
type call func(ctx context.Context, f *Files) error

var (
	keep    call = func(ctx context.Context, f *Files) error { return f.KeepPrevious(ctx) }
	restore call = func(ctx context.Context, f *Files) error { return f.RestorePrevious(ctx) }
	drop    call = func(ctx context.Context, f *Files) error { return f.DropPrevious(ctx) }
)

func install(n string) call {
	return func(ctx context.Context, f *Files) error { return f.Install(ctx, set(n)) }
}

func installList(n string) call {
	return func(ctx context.Context, f *Files) error { return f.InstallCRL(ctx, set(n).CRL) }
}

// scene is a call that is interrupted.
type scene struct {
	name      string
	prepare   []call
	run       call
	old, done ports.CertificateSet // what the files hold before and after
	endings   []ending
}

// ending is a way to go on after a crash, and what the files hold in the end.
type ending struct {
	calls []call
	want  ports.CertificateSet
}

func scenes() []scene {
	nothing, listed := ports.CertificateSet{}, set("1")
	listed.CRL = set("2").CRL
	return []scene{
		{
			"first install",
			[]call{keep},
			install("1"), nothing, set("1"),
			[]ending{{[]call{install("1")}, set("1")}, {[]call{restore, drop}, nothing}},
		},
		{
			"keep",
			[]call{install("0"), keep, install("1")},
			keep, set("1"), set("1"),
			[]ending{{[]call{keep, install("2"), restore}, set("1")}},
		},
		{
			"install",
			[]call{install("1"), keep},
			install("2"), set("1"), set("2"),
			[]ending{{[]call{install("2"), drop}, set("2")}, {[]call{restore, restore, drop}, set("1")}},
		},
		{
			"restore",
			[]call{install("1"), keep, install("2")},
			restore, set("2"), set("1"),
			[]ending{{[]call{restore, drop}, set("1")}},
		},
		{
			"drop",
			[]call{install("1"), keep, install("2")},
			drop, set("2"), set("2"),
			[]ending{{[]call{drop}, set("2")}},
		},
		{
			"install a list",
			[]call{install("1")},
			installList("2"), set("1"), listed,
			[]ending{{[]call{installList("2")}, listed}},
		},
	}
}

// onDisk is the scene on a disk, with files at paths; judge is handed what is
// found of them.
func (s scene) onDisk(paths func(string) Paths, judge func(t *testing.T, path string, err error)) powercut.Scene {
	return powercut.Scene{
		Prepare: func(t *testing.T, path string) {
			f := after(t, paths(filepath.Join(path, "certs")))
			for _, c := range s.prepare {
				disktest.Must(t, c(t.Context(), f))
			}
		},
		Run: func(path string, around powercut.Around) error {
			f := New(paths(filepath.Join(path, "certs")))
			f.disk.Around = around
			return s.run(context.Background(), f)
		},
		Found: judge,
	}
}

// texts are the files of a set, in the order of Paths.kinds.
func texts(c ports.CertificateSet) []string {
	return []string{string(c.CA), string(c.Server), c.Key.Reveal(), string(c.CRL)}
}

// found checks that each file is whole: the one before or the one after, or,
// once the call has returned nil, the latter.
func (s scene) found(t *testing.T, f *Files, returned error) {
	t.Helper()
	got := content(t, f)
	old, done := texts(s.old), texts(s.done)
	for i, text := range texts(got) {
		if text != done[i] && (returned == nil || text != old[i]) {
			t.Errorf("file %d holds %q; the call returned %v", i, text, returned)
		}
	}
}

// ends checks that life goes on as it should.
func (e ending) ends(t *testing.T, f *Files) {
	t.Helper()
	for _, c := range e.calls {
		disktest.Must(t, c(t.Context(), f))
	}
	holds(t, f, e.want)
}

// TestCrashAtEveryStep stops each call before every call to the file system, and
// in the middle of a write.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		for layout, paths := range map[string]func(string) Paths{"one directory": at, "several": apart} {
			if layout == "several" && s.name != "install" {
				continue
			}
			t.Run(s.name+" in "+layout, func(t *testing.T) {
				t.Parallel()
				for _, e := range s.endings {
					n := s.onDisk(paths, func(t *testing.T, path string, err error) {
						f := after(t, paths(filepath.Join(path, "certs")))
						s.found(t, f, err)
						e.ends(t, f)
					}).Crash(t)
					if n < 5 {
						t.Errorf("only %d calls were seen", n)
					}
				}
			})
		}
	}
}

// TestFaultAtEveryStep fails each call to the file system, once or from then
// on; the same call then completes it.
func TestFaultAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s once=%v", s.name, once), func(t *testing.T) {
				t.Parallel()
				s.onDisk(at, func(t *testing.T, path string, err error) {
					if err != nil && !(errors.Is(err, ports.ErrNotWritten) && errors.Is(err, syscall.ENOSPC) && strings.Contains(err.Error(), "/certs")) {
						t.Errorf("error %v", err)
					}
					if err != nil && strings.Contains(err.Error(), canary[:20]) {
						t.Error("the error holds the key")
					}
					f := after(t, at(filepath.Join(path, "certs")))
					s.found(t, f, err)
					disktest.Must(t, s.run(t.Context(), f))
					holds(t, f, s.done)
					for _, file := range disktest.Tree(t, path) {
						if strings.HasSuffix(file, ".new") || strings.Contains(file, ".damaged-") {
							t.Errorf("%s is left", file)
						}
					}
				}).Fail(t, syscall.ENOSPC, once)
			})
		}
	}
}

// TestDamagedFilesSurviveACrashOfWhatReplacesThem stops the replacement of
// damaged files everywhere, as a crash, a power cut or a fault, and goes on as
// the agent does: what was damaged is there, once, at all times.
func TestDamagedFilesSurviveACrashOfWhatReplacesThem(t *testing.T) {
	t.Parallel()
	old := texts(set("1"))
	// replace sets aside what is still the old set and installs another.
	replace := func(t *testing.T) call {
		return func(ctx context.Context, f *Files) error {
			var damaged []ports.DamagedFile
			for i, text := range texts(content(t, New(f.paths))) {
				if text == old[i] {
					damaged = append(damaged, ports.DamagedFile{Path: f.paths.kinds()[i].path, Reason: "it is not the new one"})
				}
			}
			for _, c := range []call{
				func(ctx context.Context, f *Files) error { return f.SetAside(ctx, damaged) }, keep, install("2"), drop,
			} {
				if err := c(ctx, f); err != nil {
					return err
				}
			}
			return nil
		}
	}
	// kept checks that each file of the old set lies in its place or beside it.
	kept := func(t *testing.T, f *Files) {
		t.Helper()
		present := texts(content(t, f))
		for i, k := range f.paths.kinds() {
			copies, err := filepath.Glob(k.path + durable.DamagedInfix + "*")
			disktest.Must(t, err)
			for _, c := range copies {
				if text := disktest.Read(t, c); text != old[i] {
					t.Errorf("%s holds %q", c, text)
				}
			}
			if there := present[i] == old[i]; there && len(copies) != 0 || !there && len(copies) != 1 {
				t.Errorf("%s: what was damaged was set aside %d times; it holds %q", k.path, len(copies), present[i])
			}
		}
	}
	for layout, paths := range map[string]func(string) Paths{"one directory": at, "several": apart} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			s := scene{prepare: []call{install("1")}, run: replace(t)}.onDisk(paths, func(t *testing.T, path string, err error) {
				if err != nil && !errors.Is(err, ports.ErrNotWritten) {
					t.Errorf("error %v", err)
				}
				f := New(paths(filepath.Join(path, "certs")))
				f.disk.Around = powercut.Unsynced
				kept(t, f)
				disktest.Must(t, replace(t)(t.Context(), f))
				kept(t, f)
				holds(t, f, set("2"))
			})
			if n := s.Crash(t); n < 20 {
				t.Errorf("only %d calls were seen", n)
			}
			s.Fail(t, syscall.ENOSPC, true)
		})
	}
}

// TestNoRoomLeavesTheOldSet shows that a disk without room for the new set leaves the old
// one as a whole.
func TestNoRoomLeavesTheOldSet(t *testing.T) {
	t.Parallel()
	f := after(t, at(certsDir(t)))
	disktest.Must(t, f.Install(t.Context(), set("1")))
	writes := 0
	f.disk.Around = func(op durable.Op, path string, call func() error) error {
		if op == durable.OpWrite {
			if writes++; writes > 3 {
				return syscall.ENOSPC
			}
		}
		return powercut.Unsynced(op, path, call)
	}
	err := f.Install(t.Context(), set("2"))
	if !errors.Is(err, ports.ErrNotWritten) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("error %v", err)
	}
	holds(t, f, set("1"))
}
