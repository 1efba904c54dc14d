//go:build unix

package statedir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/ports"
)

// machine stands between a Dir and the file system: it stops at a step, as a
// crash does, or fails one, and keeps in mind what a power cut would leave.
type machine struct {
	t    testing.TB
	path string // the state directory's parent

	step  int // steps so far
	at    int // the step to stop at or to fail; 0 for none
	fault error
	once  bool // fail this step only
	torn  bool // stop in the middle of the step, if it is a write
	down  bool
	hit   durable.Op // the step that was stopped at or failed

	content map[uint64][]byte            // what is synced of a file, by inode
	names   map[uint64]map[string]uint64 // what is synced of a directory
}

var errStopped = errors.New("the machine has stopped")

func (m *machine) around(op durable.Op, path string, call func() error) error {
	if m.down && !m.once {
		return m.fault
	}
	m.step++
	if m.step == m.at {
		m.down = true
		m.hit = op
		if m.torn && op == durable.OpWrite {
			must(m.t, call())
			info, err := os.Stat(path)
			must(m.t, err)
			must(m.t, os.Truncate(path, info.Size()/2))
		}
		return m.fault
	}
	switch op {
	case durable.OpSync:
		m.content[inode(m.t, path)] = read(m.t, path)
		return nil
	case durable.OpSyncDir:
		m.syncNames(path)
		return nil
	case durable.OpCreate:
		err := call()
		if err == nil {
			delete(m.content, inode(m.t, path)) // a number may be used again
		}
		return err
	case durable.OpMkdir:
		err := call()
		if err == nil {
			delete(m.names, inode(m.t, path))
		}
		return err
	case durable.OpOpen, durable.OpStat, durable.OpRead, durable.OpWrite, durable.OpTruncate, durable.OpReadBack, durable.OpRename, durable.OpRemove, durable.OpClaim:
	}
	return call()
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return stat(info).Ino
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
	info, err := os.Lstat(path)
	must(m.t, err)
	if !info.IsDir() {
		m.content[inode(m.t, path)] = read(m.t, path)
		return
	}
	m.syncNames(path)
	entries, err := os.ReadDir(path)
	must(m.t, err)
	for _, e := range entries {
		m.syncAll(filepath.Join(path, e.Name()))
	}
}

// loss is how much of what was not synced a power cut takes.
type loss struct {
	name  string
	names bool             // names, or only content
	data  func(int) []byte // what stands in place of content of a length
}

var losses = []loss{
	{"everything", true, func(int) []byte { return nil }},
	{"content, empty", false, func(int) []byte { return nil }},
	{"content, zeros", false, func(n int) []byte { return make([]byte, n) }},
}

// restart builds what is found after a power cut in a new directory.
func (m *machine) restart(l loss) string {
	sizes := map[uint64]int{}
	live := map[uint64]map[string]uint64{}
	m.walk(m.path, sizes, live)
	out := m.t.TempDir()
	var build func(node uint64, path string)
	build = func(node uint64, path string) {
		names, isDir := live[node]
		if l.names {
			names = m.names[node]
		}
		if !isDir && names == nil {
			data, ok := m.content[node]
			if !ok {
				data = l.data(sizes[node])
			}
			write(m.t, path, data)
			return
		}
		must(m.t, os.MkdirAll(path, 0o700))
		for name, node := range names {
			build(node, filepath.Join(path, name))
		}
	}
	build(inode(m.t, m.path), out)
	return out
}

func (m *machine) walk(path string, sizes map[uint64]int, live map[uint64]map[string]uint64) {
	entries, err := os.ReadDir(path)
	must(m.t, err)
	names := map[string]uint64{}
	for _, e := range entries {
		p := filepath.Join(path, e.Name())
		node := inode(m.t, p)
		names[e.Name()] = node
		if e.IsDir() {
			m.walk(p, sizes, live)
		} else {
			sizes[node] = len(read(m.t, p))
		}
	}
	live[inode(m.t, path)] = names
}

// unsyncedDir opens the directory, which is made if need be, without syncing.
func unsyncedDir(t testing.TB, path string) *Dir {
	t.Helper()
	must(t, os.MkdirAll(path, 0o700))
	d := open(t, path, Options{})
	d.disk.Around = unsynced
	return d
}

// scene is something that is interrupted.
type scene struct {
	name    string
	prepare func(t *testing.T, path string)
	run     func(d *Dir) error
	// after is what must hold in the directory found after the restart; err is
	// what run returned.
	after func(t *testing.T, path string, err error)
}

// crash stops the scene at every step, in the middle of each write too, and
// checks what is found after a mere end of the process and after each kind of
// power cut. It returns the number of steps.
func (s scene) crash(t *testing.T) int {
	for at := 1; ; at++ {
		for _, torn := range []bool{false, true} {
			m := s.play(t, machine{at: at, torn: torn, fault: errStopped}, func(t *testing.T, m *machine, err error) {
				s.after(t, filepath.Join(m.path, "state"), err)
			}, losses)
			if !m.down {
				return at - 1
			}
			if m.hit != durable.OpWrite {
				break
			}
		}
	}
}

// play runs the scene on m, then checks what is found without and with losses.
func (s scene) play(t *testing.T, m machine, check func(*testing.T, *machine, error), losses []loss) *machine {
	t.Helper()
	m.t, m.path = t, t.TempDir()
	m.content, m.names = map[uint64][]byte{}, map[uint64]map[string]uint64{}
	state := filepath.Join(m.path, "state")
	if s.prepare != nil {
		s.prepare(t, state)
	}
	m.syncAll(m.path)
	d := &Dir{}
	*d = *open(t, state, Options{ReadOnly: true}) // makes nothing yet
	d.opts.ReadOnly = false
	d.credential.dir, d.identity.dir, d.retries.dir = d, d, d
	d.pending.dir, d.key.dir, d.bundle.dir = d, d, d
	d.disk.Around = m.around
	err := s.run(d)
	if !m.down && !errors.Is(err, ports.ErrDamaged) {
		must(t, err)
	}
	found := map[string]string{"process": m.path}
	for _, l := range losses {
		found["power, losing "+l.name] = m.restart(l)
	}
	for how, path := range found {
		t.Run(fmt.Sprintf("step %d %s torn=%v %s", m.at, m.hit, m.torn, how), func(t *testing.T) {
			after := m
			after.path = path
			check(t, &after, err)
		})
	}
	return &m
}

// samples stand for all records, which are of one make, where a scene takes
// long.
const samples = "credentials/agent.cak identity.json enrollment/retry.json"

func scenes() (all []scene) {
	for _, s := range subjects {
		old := func(t *testing.T, path string) {
			must(t, s.save(unsyncedDir(t, path), 1))
		}
		oldOrNew := func(before int) func(*testing.T, string, error) {
			return func(t *testing.T, path string, err error) {
				var got recoveries
				d := open(t, path, Options{Recovered: got.add})
				d.disk.Around = unsynced
				v, loadErr := s.load(d)
				n := 0
				switch {
				case errors.Is(loadErr, ports.ErrNotStored):
				case loadErr != nil:
					t.Fatalf("load: %v", loadErr)
				case reflect.DeepEqual(v, s.value(2)):
					n = 2
				default:
					n = 1
					s.loads(t, d, 1)
				}
				if n != before && n != 2 || err == nil && n != 2 {
					t.Errorf("found value %d; it was %d before, and the save said %v", n, before, err)
				}
				for _, a := range got.actions() {
					if a != "completed an interrupted replacement" {
						t.Errorf("recovered by %q", a)
					}
				}
				// And life goes on.
				must(t, s.save(d, 3))
				s.loads(t, open(t, path, Options{}), 3)
			}
		}
		all = append(all, scene{s.file + " save", old, func(d *Dir) error { return s.save(d, 2) }, oldOrNew(1)})
		if s.is(samples) {
			all = append(all,
				scene{s.file + " first save", nil, func(d *Dir) error { return s.save(d, 2) }, oldOrNew(0)},
				scene{
					s.file + " load of an interrupted save",
					func(t *testing.T, path string) {
						old(t, path)
						must(t, os.Rename(filepath.Join(path, s.file), filepath.Join(path, s.file+".old")))
						must(t, s.save(unsyncedDir(t, path), 2))
						must(t, os.Rename(filepath.Join(path, s.file), filepath.Join(path, s.file+".new")))
						must(t, os.Rename(filepath.Join(path, s.file+".old"), filepath.Join(path, s.file)))
					},
					func(d *Dir) error { _, err := s.load(d); return err },
					func(t *testing.T, path string, _ error) { s.loads(t, unsyncedDir(t, path), 2) },
				},
				scene{
					s.file + " load of damage",
					func(t *testing.T, path string) { write(t, filepath.Join(path, s.file), []byte("evidence")) },
					func(d *Dir) error { _, err := s.load(d); return err },
					func(t *testing.T, path string, _ error) {
						_, err := s.load(unsyncedDir(t, path))
						if !errors.Is(err, ports.ErrDamaged) && !errors.Is(err, ports.ErrNotStored) {
							t.Errorf("load: %v", err)
						}
						kept := false
						for _, f := range tree(t, path) {
							kept = kept || string(read(t, filepath.Join(path, f))) == "evidence"
						}
						if !kept {
							t.Error("the damaged file is gone")
						}
					},
				},
			)
		}
		if s.reserve != nil {
			reserveAndSave := func(d *Dir) error {
				if err := s.reserve(d); err != nil {
					return err
				}
				return s.save(d, 2)
			}
			all = append(all,
				scene{s.file + " first reserve and save", nil, reserveAndSave, oldOrNew(0)},
				scene{s.file + " reserve and save", old, reserveAndSave, oldOrNew(1)},
			)
		}
		if s.erase == nil {
			continue
		}
		all = append(all,
			scene{
				s.file + " erase", old,
				s.erase,
				func(t *testing.T, path string, err error) {
					d := unsyncedDir(t, path)
					v, loadErr := s.load(d)
					if loadErr == nil && err == nil {
						t.Errorf("erased, but loaded %v", v)
					}
					if loadErr != nil && !errors.Is(loadErr, ports.ErrNotStored) {
						t.Errorf("load: %v", loadErr)
					}
				},
			},
		)
	}
	all = append(all, scene{
		"reject a bundle",
		func(t *testing.T, path string) {
			must(t, unsyncedDir(t, path).SaveBundle(t.Context(), received(1)))
		},
		func(d *Dir) error { _, err := d.RejectBundle(context.Background()); return err },
		func(t *testing.T, path string, err error) {
			d := open(t, path, Options{Recovered: func(r ports.Recovery) { t.Errorf("recovered from %+v", r) }})
			d.disk.Around = unsynced
			_, loadErr := d.LoadBundle(t.Context())
			if loadErr == nil && err == nil {
				t.Error("rejected, but still there")
			}
			if loadErr == nil {
				_, err := d.RejectBundle(t.Context())
				must(t, err)
			} else if !errors.Is(loadErr, ports.ErrNotStored) {
				t.Errorf("load: %v", loadErr)
			}
			facts, err := d.Facts(t.Context())
			must(t, err)
			if len(facts.Rejected) == 0 {
				t.Fatal("the bundle is lost")
			}
			b, err := d.bundle.judge("", read(t, facts.Rejected[0]))
			must(t, err)
			if !reflect.DeepEqual(b, received(1)) {
				t.Errorf("rejected is %v", b)
			}
		},
	})
	for _, lost := range []string{"", "identity.json", "credentials/agent.cak"} {
		all = append(all, scene{
			"set aside without " + lost,
			func(t *testing.T, path string) {
				d := unsyncedDir(t, path)
				for _, s := range subjects {
					must(t, s.save(d, 1))
				}
				for _, name := range append(bystanders, "identity.json.damaged-1") {
					write(t, filepath.Join(path, name), []byte(name))
				}
				if lost != "" {
					must(t, os.Remove(filepath.Join(path, lost)))
				}
			},
			func(d *Dir) error { _, err := d.SetAside(context.Background()); return err },
			func(t *testing.T, path string, err error) {
				// The next start: as long as the original's evidence is
				// there, the clone moves on.
				d := unsyncedDir(t, path)
				id, loadErr := d.LoadIdentity(t.Context())
				if errors.Is(loadErr, ports.ErrNotStored) {
					var c ports.Credential
					c, loadErr = d.Load(t.Context())
					id = c.Identity
				}
				if loadErr == nil && id.MachineUID == identity(1).MachineUID {
					if err == nil {
						t.Error("the original's identity is still there")
					}
					_, err := d.SetAside(t.Context())
					must(t, err)
				}
				moved := map[string]bool{}
				for _, f := range tree(t, path) {
					if strings.HasPrefix(f, "cloned-") {
						_, f, _ = strings.Cut(f, "/")
						moved[f] = true
					} else if f != "agent.lock" && f != "agent.sock" {
						t.Errorf("%s is left of the original", f)
					}
				}
				for _, f := range append(bystanders, recorded()...) {
					if f != lost && !moved[f] {
						t.Errorf("%s was not moved but lost", f)
					}
				}
			},
		})
	}
	return all
}

// bystanders are files that other parts of the agent keep.
var bystanders = []string{"enrollment/rejected/1.json", "certs/server.key.pem"}

// recorded are the files of the records.
func recorded() (files []string) {
	for _, s := range subjects {
		files = append(files, s.file)
	}
	return files
}

func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if n := s.crash(t); n < 5 {
				t.Errorf("only %d steps were seen", n)
			} else {
				t.Logf("%d steps", n)
			}
		})
	}
}

// TestFaultAtEveryStep fails each step of a save, once or from then on.
func TestFaultAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		for _, reserved := range []bool{false, true} {
			if reserved && s.reserve == nil || !reserved && !s.is(samples) {
				continue
			}
			for _, once := range []bool{true, false} {
				faults := []error{syscall.ENOSPC, syscall.EIO}
				if !once {
					faults = []error{syscall.EDQUOT, syscall.EROFS}
				}
				for _, fault := range faults {
					t.Run(fmt.Sprintf("%s reserved=%v %v once=%v", s.file, reserved, fault, once), func(t *testing.T) {
						t.Parallel()
						sc := scene{
							prepare: func(t *testing.T, path string) {
								must(t, s.save(unsyncedDir(t, path), 1))
							},
						}
						for at, more := 1, true; more; at++ {
							var d *Dir
							sc.run = func(dir *Dir) error {
								d = dir
								if reserved {
									if err := s.reserve(d); err != nil {
										return err
									}
								}
								return s.save(d, 2)
							}
							check := func(t *testing.T, m *machine, err error) { s.afterFault(t, d, m, err) }
							more = sc.play(t, machine{at: at, fault: fault, once: once}, check, nil).down
						}
					})
				}
			}
		}
	}
}

// afterFault checks what a failed step leaves once the disk works again.
func (s subject) afterFault(t *testing.T, d *Dir, m *machine, err error) {
	d.disk.Around = unsynced
	restarted := open(t, filepath.Join(m.path, "state"), Options{Recovered: func(r ports.Recovery) {
		if r.Action != "completed an interrupted replacement" {
			t.Errorf("recovered from %+v", r)
		}
	}})
	switch {
	case err == nil:
		s.loads(t, d, 2)
		s.loads(t, restarted, 2)
	case m.once:
		// What was stored is still stored.
		s.loads(t, d, 1)
		s.loads(t, restarted, 1)
	default:
		// A disk on which nothing works any more keeps either.
		v, err := s.load(restarted)
		must(t, err)
		if !reflect.DeepEqual(v, s.value(1)) && !reflect.DeepEqual(v, s.value(2)) {
			t.Errorf("found %v", v)
		}
	}
	if err != nil {
		if !errors.Is(err, ports.ErrNotWritten) && !errors.Is(err, ports.ErrUnreadable) {
			t.Errorf("error of no kind: %v", err)
		}
		if !errors.Is(err, m.fault) || !strings.Contains(err.Error(), m.path) {
			t.Errorf("error without cause or path: %v", err)
		}
		if strings.Contains(err.Error(), canary[:12]) {
			t.Error("the error holds the key")
		}
	}
	must(t, s.save(d, 3))
	s.loads(t, restarted, 3)
}
