//go:build unix

package powercut

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
)

// Around is what durable.Disk hands its calls to.
type Around = func(op durable.Op, path string, call func() error) error

// Scene is something that is interrupted.
type Scene struct {
	// Prepare makes what is there before, in the directory path, all of which
	// then is on disk; nil for nothing.
	Prepare func(t *testing.T, path string)
	// Run is what is interrupted. It makes its calls through around.
	Run func(path string, around Around) error
	// Found judges what lies in path afterwards; err is what Run returned. A
	// Found of its own goes over it for each step and each loss.
	Found func(t *testing.T, path string, err error)
}

// errStopped is what every call answers once the machine has stopped.
var errStopped = errors.New("the machine has stopped")

// Crash stops the scene before every call that changes something, and in the
// middle of each write, and has Found look at what a mere end of the process and
// each kind of power cut leave. It returns the number of these calls.
func (s Scene) Crash(t *testing.T) (steps int) {
	t.Helper()
	for at := 1; ; at++ {
		for _, torn := range []bool{false, true} {
			m := &machine{at: at, torn: torn, fault: errStopped}
			s.play(t, m)
			if !m.down {
				return at - 1
			}
			if m.hit != durable.OpWrite {
				break
			}
		}
	}
}

// Fail fails each call of the scene, with fault, for this once or from then on,
// and has Found look at what is left there, and by each kind of power cut
// elsewhere. It returns the number of calls.
func (s Scene) Fail(t *testing.T, fault error, once bool) (steps int) {
	t.Helper()
	for at := 1; ; at++ {
		m := &machine{at: at, fault: fault, once: once}
		s.play(t, m)
		if !m.down {
			return at - 1
		}
	}
}

// play runs the scene on m and has it judged, with each loss and without.
func (s Scene) play(t *testing.T, m *machine) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	disktest.Must(t, err)
	m.start(t, filepath.Join(dir, "disk"), s.Prepare)
	err = s.Run(m.path, m.around)
	if !m.down {
		disktest.Must(t, err)
	}
	judge := func(path, lost string) {
		defer func() {
			if t.Failed() {
				t.Logf("at step %d, %s, torn %v, losing %s; Run returned %v", m.at, m.hit, m.torn, lost, err)
			}
		}()
		s.Found(t, path, err)
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, l := range losses {
		path := m.restart(l)
		judge(path, l.name)
		disktest.Must(t, os.RemoveAll(path))
	}
	judge(m.path, "nothing")
	disktest.Must(t, os.RemoveAll(dir))
}

// machine is a program's disk that stops at a step or fails one, and keeps in
// mind what a power cut would leave.
type machine struct {
	t    *testing.T
	path string // everything on the disk lies below it

	step  int // calls so far that count
	at    int // the step to stop at or to fail
	fault error
	once  bool // only this step fails
	torn  bool // stop in the middle of the step, if it is a write
	down  bool
	hit   durable.Op // the step that was stopped at or failed

	content map[uint64][]byte            // what is on disk of a file, by inode
	names   map[uint64]map[string]uint64 // what is on disk of a directory
}

func (m *machine) start(t *testing.T, path string, prepare func(*testing.T, string)) {
	m.t, m.path = t, path
	m.content, m.names = map[uint64][]byte{}, map[uint64]map[string]uint64{}
	disktest.Must(t, os.MkdirAll(path, 0o700))
	if prepare != nil {
		prepare(t, path)
	}
	disktest.Must(t, filepath.WalkDir(path, func(p string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			m.syncNames(p)
		} else if err == nil {
			m.content[inode(t, p)] = m.read(p)
		}
		return err
	}))
}

// counts reports whether a call is a step: a crash before one that only looks
// leaves what a crash before the next one leaves.
func (m *machine) counts(op durable.Op) bool {
	looks := op == durable.OpOpen || op == durable.OpStat || op == durable.OpRead || op == durable.OpReadBack
	return !looks || !errors.Is(m.fault, errStopped)
}

// around is for durable.Disk.
func (m *machine) around(op durable.Op, path string, call func() error) error {
	if m.down && !m.once {
		return m.fault
	}
	if m.counts(op) {
		m.step++
		if m.step == m.at {
			m.down, m.hit = true, op
			if m.torn && op == durable.OpWrite {
				disktest.Must(m.t, call())
				disktest.Must(m.t, os.Truncate(path, int64(len(m.read(path))/2)))
			}
			return m.fault
		}
	}
	switch op {
	case durable.OpSync:
		m.content[inode(m.t, path)] = m.read(path)
		return nil
	case durable.OpSyncDir:
		m.syncNames(path)
		return nil
	case durable.OpCreate, durable.OpMkdir:
		err := call()
		if err == nil { // its number may be one that was used before
			delete(m.content, inode(m.t, path))
			delete(m.names, inode(m.t, path))
		}
		return err
	case durable.OpOpen, durable.OpStat, durable.OpRead, durable.OpWrite, durable.OpTruncate,
		durable.OpReadBack, durable.OpRename, durable.OpRemove, durable.OpClaim:
	}
	return call()
}

func (m *machine) syncNames(path string) { m.names[inode(m.t, path)] = m.list(path) }

func (m *machine) list(path string) map[string]uint64 {
	entries, err := os.ReadDir(path)
	disktest.Must(m.t, err)
	names := map[string]uint64{}
	for _, e := range entries {
		names[e.Name()] = inode(m.t, filepath.Join(path, e.Name()))
	}
	return names
}

func (m *machine) read(path string) []byte {
	data, err := os.ReadFile(path)
	disktest.Must(m.t, err)
	return data
}

// loss is how much of what was not synced a power cut takes.
type loss struct {
	name  string
	names bool             // names too, not only content
	data  func(int) []byte // what stands in place of content of a length
}

var losses = []loss{
	{"content and names", true, func(int) []byte { return nil }},
	{"content, empty", false, func(int) []byte { return nil }},
	{"content, zeros", false, func(n int) []byte { return make([]byte, n) }},
}

// restart builds what is found after a power cut in a new directory.
func (m *machine) restart(l loss) (path string) {
	sizes, live := map[uint64]int{}, map[uint64]map[string]uint64{}
	disktest.Must(m.t, filepath.WalkDir(m.path, func(p string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			live[inode(m.t, p)] = m.list(p)
		} else if err == nil {
			sizes[inode(m.t, p)] = len(m.read(p))
		}
		return err
	}))
	path, err := os.MkdirTemp(filepath.Dir(m.path), "")
	disktest.Must(m.t, err)
	var build func(node uint64, path string)
	build = func(node uint64, path string) {
		names, isDir := live[node]
		if l.names {
			names = m.names[node]
		}
		if !isDir && names == nil {
			data, synced := m.content[node]
			if !synced {
				data = l.data(sizes[node])
			}
			disktest.Must(m.t, os.WriteFile(path, data, 0o600))
			return
		}
		disktest.Must(m.t, os.MkdirAll(path, 0o700))
		for name, node := range names {
			build(node, filepath.Join(path, name))
		}
	}
	build(inode(m.t, m.path), path)
	return path
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	disktest.Must(t, err)
	return info.Sys().(*syscall.Stat_t).Ino
}
