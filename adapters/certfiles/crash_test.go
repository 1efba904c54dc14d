//go:build unix

package certfiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// machine stands between Files and the file system: it stops at a step, as a
// crash does, or fails one, and keeps in mind what a power cut would leave.
type machine struct {
	t    testing.TB
	path string // everything lies below it

	step  int // steps so far
	at    int // the step to stop at or to fail
	fault error
	once  bool // fail this step only
	down  bool

	content map[uint64]string            // what is synced of a file, by inode
	names   map[uint64]map[string]uint64 // what is synced of a directory
}

var errStopped = errors.New("the machine has stopped")

func newMachine(t testing.TB, path string, at int) *machine {
	m := &machine{t: t, path: path, at: at, fault: errStopped, content: map[uint64]string{}, names: map[uint64]map[string]uint64{}}
	m.syncAll(path)
	return m
}

func (m *machine) around(op durable.Op, path string, call func() error) error {
	if m.down && !m.once {
		return m.fault
	}
	m.step++
	if m.step == m.at {
		m.down = true
		if op == durable.OpWrite && !m.once { // stopped in the middle of it
			must(m.t, call())
			info, err := os.Stat(path)
			must(m.t, err)
			must(m.t, os.Truncate(path, info.Size()/2))
		}
		return m.fault
	}
	switch op {
	case durable.OpSync:
		m.content[inode(m.t, path)] = read1(m.t, path)
		return nil
	case durable.OpSyncDir:
		m.syncNames(path)
		return nil
	case durable.OpOpen, durable.OpStat, durable.OpRead, durable.OpCreate, durable.OpWrite, durable.OpTruncate, durable.OpReadBack, durable.OpRename, durable.OpRemove, durable.OpMkdir, durable.OpClaim:
	}
	err := call()
	switch {
	case err != nil:
	case op == durable.OpCreate:
		delete(m.content, inode(m.t, path)) // a number may be used again
	case op == durable.OpMkdir:
		delete(m.names, inode(m.t, path))
	}
	return err
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

func (m *machine) syncNames(path string) {
	entries, err := os.ReadDir(path)
	must(m.t, err)
	names := map[string]uint64{}
	for _, e := range entries {
		names[e.Name()] = inode(m.t, filepath.Join(path, e.Name()))
	}
	m.names[inode(m.t, path)] = names
}

// syncAll makes everything below path durable.
func (m *machine) syncAll(path string) {
	must(m.t, filepath.WalkDir(path, func(p string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			m.syncNames(p)
		} else if err == nil {
			m.content[inode(m.t, p)] = read1(m.t, p)
		}
		return err
	}))
}

// loss is what a restart finds of what was not synced.
type loss string

const (
	nothingLost loss = "nothing" // the process ended
	contentLost loss = "content" // the power went
	allLost     loss = "content and names"
)

// restart builds what is found afterwards in a new directory.
func (m *machine) restart(l loss) string {
	type node struct {
		names   map[string]uint64
		content string
	}
	live := map[uint64]node{}
	must(m.t, filepath.WalkDir(m.path, func(p string, entry fs.DirEntry, err error) error {
		must(m.t, err)
		if !entry.IsDir() {
			live[inode(m.t, p)] = node{content: read1(m.t, p)}
			return nil
		}
		entries, err := os.ReadDir(p)
		must(m.t, err)
		names := map[string]uint64{}
		for _, e := range entries {
			names[e.Name()] = inode(m.t, filepath.Join(p, e.Name()))
		}
		live[inode(m.t, p)] = node{names: names}
		return nil
	}))
	out := m.t.TempDir()
	var build func(number uint64, path string)
	build = func(number uint64, path string) {
		found := live[number]
		if l != nothingLost {
			found.content = m.content[number]
		}
		if l == allLost {
			found.names = m.names[number]
		}
		if found.names == nil && live[number].names == nil {
			write(m.t, path, found.content)
			return
		}
		must(m.t, os.MkdirAll(path, 0o700))
		for name, number := range found.names {
			build(number, filepath.Join(path, name))
		}
	}
	build(inode(m.t, m.path), out)
	return out
}

// unsynced leaves the syncing out, for tests that do not cut the power.
func unsynced(op durable.Op, _ string, call func() error) error {
	if op == durable.OpSync || op == durable.OpSyncDir {
		return nil
	}
	return call()
}

// after opens the files that are found after a restart.
func after(t testing.TB, paths Paths) *Files {
	f := New(paths)
	f.disk.Around = unsynced
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

// play runs the scene on a machine that stops or fails at a step.
func (s scene) play(t *testing.T, paths func(string) Paths, at int, how func(*machine)) (*machine, *Files, error) {
	t.Helper()
	path := t.TempDir()
	f := after(t, paths(filepath.Join(path, "certs")))
	for _, c := range s.prepare {
		must(t, c(t.Context(), f))
	}
	m := newMachine(t, path, at)
	if how != nil {
		how(m)
	}
	f = New(paths(filepath.Join(path, "certs")))
	f.disk.Around = m.around
	err := s.run(t.Context(), f)
	if !m.down {
		must(t, err)
	}
	return m, f, err
}

// found checks that each file is whole: the one before or the one after, or,
// once the call has returned nil, the latter.
func (s scene) found(t *testing.T, f *Files, returned error) {
	t.Helper()
	got := content(t, f)
	texts := func(c ports.CertificateSet) []string {
		return []string{string(c.CA), string(c.Server), c.Key.Reveal(), string(c.CRL)}
	}
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
		must(t, c(t.Context(), f))
	}
	holds(t, f, e.want)
}

// TestCrashAtEveryStep stops each call at every step, and in the middle of a
// write.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		for layout, paths := range map[string]func(string) Paths{"one directory": at, "several": apart} {
			if layout == "several" && s.name != "install" {
				continue
			}
			t.Run(s.name+" in "+layout, func(t *testing.T) {
				t.Parallel()
				for step := 1; ; step++ {
					m, _, err := s.play(t, paths, step, nil)
					for i, l := range []loss{nothingLost, contentLost, allLost} {
						f := after(t, paths(filepath.Join(m.restart(l), "certs")))
						s.found(t, f, err)
						s.endings[(step+i)%len(s.endings)].ends(t, f)
						if t.Failed() {
							t.Fatalf("at step %d, losing %s", step, l)
						}
					}
					if !m.down {
						if step < 9 {
							t.Errorf("only %d steps were seen", step-1)
						}
						t.Logf("%d steps", step-1)
						return
					}
				}
			})
		}
	}
}

// TestFaultAtEveryStep fails each step, once or from then on; the same call then
// completes it.
func TestFaultAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s once=%v", s.name, once), func(t *testing.T) {
				t.Parallel()
				for step := 1; ; step++ {
					m, f, err := s.play(t, at, step, func(m *machine) { m.fault, m.once = syscall.ENOSPC, once })
					f.disk.Around = unsynced
					if !m.down {
						return
					}
					if err != nil && !(errors.Is(err, ports.ErrNotWritten) && errors.Is(err, syscall.ENOSPC) && strings.Contains(err.Error(), m.path)) {
						t.Errorf("step %d: %v", step, err)
					}
					if err != nil && strings.Contains(err.Error(), canary[:20]) {
						t.Errorf("step %d: the error holds the key", step)
					}
					s.found(t, f, err)
					must(t, s.run(t.Context(), f))
					holds(t, f, s.done)
					for _, file := range tree(t, m.path) {
						if strings.HasSuffix(file, ".new") || strings.Contains(file, ".damaged-") {
							t.Errorf("step %d: %s is left", step, file)
						}
					}
				}
			})
		}
	}
}

// TestDamagedFilesSurviveACrashOfWhatReplacesThem stops the replacement of
// damaged files at every step, as a crash, a power cut or a fault, and goes on
// as the agent does: what was damaged is there, once, at all times.
func TestDamagedFilesSurviveACrashOfWhatReplacesThem(t *testing.T) {
	t.Parallel()
	texts := func(c ports.CertificateSet) []string {
		return []string{string(c.CA), string(c.Server), c.Key.Reveal(), string(c.CRL)}
	}
	old := texts(set("1"))
	// replace sets aside what is still the old set and installs another.
	replace := func(f *Files) error {
		var damaged []ports.DamagedFile
		for i, text := range texts(content(t, New(f.paths))) {
			if text == old[i] {
				damaged = append(damaged, ports.DamagedFile{Path: f.paths.kinds()[i].path, Reason: "it is not the new one"})
			}
		}
		for _, c := range []call{
			func(ctx context.Context, f *Files) error { return f.SetAside(ctx, damaged) }, keep, install("2"), drop,
		} {
			if err := c(t.Context(), f); err != nil {
				return err
			}
		}
		return nil
	}
	// kept checks that each file of the old set lies in its place or beside it.
	kept := func(f *Files, also string) {
		t.Helper()
		present := texts(content(t, f))
		for i, k := range f.paths.kinds() {
			copies, err := filepath.Glob(k.path + durable.DamagedInfix + "*")
			must(t, err)
			times := 0
			for _, c := range copies {
				if text := read1(t, c); text != old[i] {
					t.Errorf("%s holds %q", c, text)
				}
				times++
			}
			if present[i] == old[i] {
				times++
			}
			if times != 1 {
				t.Errorf("%s: what was damaged is there %d times; it holds %q (%s)", k.path, times, present[i], also)
			}
		}
	}
	for layout, paths := range map[string]func(string) Paths{"one directory": at, "several": apart} {
		for how, fault := range map[string]error{"a crash": errStopped, "a fault": syscall.ENOSPC} {
			t.Run(how+" in "+layout, func(t *testing.T) {
				t.Parallel()
				for step := 1; ; step++ {
					path := t.TempDir()
					must(t, after(t, paths(filepath.Join(path, "certs"))).Install(t.Context(), set("1")))
					m := newMachine(t, path, step)
					m.fault, m.once = fault, how == "a fault"
					f := New(paths(filepath.Join(path, "certs")))
					f.disk.Around = m.around
					err := replace(f)
					if err == nil && m.down && how == "a crash" || err != nil && !errors.Is(err, ports.ErrNotWritten) {
						t.Fatalf("step %d: %v", step, err)
					}
					for _, l := range []loss{nothingLost, contentLost, allLost} {
						f := New(paths(filepath.Join(m.restart(l), "certs")))
						f.disk.Around = unsynced
						kept(f, fmt.Sprintf("step %d, losing %s", step, l))
						must(t, replace(f))
						kept(f, fmt.Sprintf("after step %d, losing %s", step, l))
						holds(t, f, set("2"))
						if t.Failed() {
							t.FailNow()
						}
					}
					if !m.down {
						if step < 30 {
							t.Errorf("only %d steps were seen", step-1)
						}
						t.Logf("%d steps", step-1)
						return
					}
				}
			})
		}
	}
}

// TestNoRoomLeavesTheOldSet shows that a disk without room for the new set leaves the old
// one as a whole.
func TestNoRoomLeavesTheOldSet(t *testing.T) {
	t.Parallel()
	f := after(t, at(certsDir(t)))
	must(t, f.Install(t.Context(), set("1")))
	writes := 0
	f.disk.Around = func(op durable.Op, path string, call func() error) error {
		if op == durable.OpWrite {
			if writes++; writes > 3 {
				return syscall.ENOSPC
			}
		}
		return unsynced(op, path, call)
	}
	err := f.Install(t.Context(), set("2"))
	if !errors.Is(err, ports.ErrNotWritten) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("error %v", err)
	}
	holds(t, f, set("1"))
}
