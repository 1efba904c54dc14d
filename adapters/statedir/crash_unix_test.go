//go:build unix

package statedir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
	"github.com/muster-agent/muster/ports"
)

// stopped opens the directory on a disk that stops: it makes nothing yet.
func stopped(t testing.TB, path string, around powercut.Around) *Dir {
	t.Helper()
	d := open(t, path, Options{ReadOnly: true})
	d.opts.ReadOnly = false
	d.disk.Around = around
	return d
}

// unsyncedDir opens the directory, which is made if need be, without syncing.
func unsyncedDir(t testing.TB, path string) *Dir {
	t.Helper()
	disktest.Must(t, os.MkdirAll(path, 0o700))
	d := open(t, path, Options{})
	d.disk.Around = powercut.Unsynced
	return d
}

// scene is something that a Dir does and that is interrupted.
type scene struct {
	name    string
	prepare func(t *testing.T, path string)
	run     func(d *Dir) error
	// after is what must hold in the directory found after the restart; err is
	// what run returned.
	after func(t *testing.T, path string, err error)
}

// onDisk is the scene below a directory, in which it makes its own.
func (s scene) onDisk(t *testing.T) powercut.Scene {
	state := func(path string) string { return filepath.Join(path, "state") }
	return powercut.Scene{
		Prepare: func(t *testing.T, path string) {
			if s.prepare != nil {
				s.prepare(t, state(path))
			}
		},
		Run: func(path string, around powercut.Around) error {
			err := s.run(stopped(t, state(path), around))
			if errors.Is(err, ports.ErrDamaged) {
				return nil // what it is to say
			}
			return err
		},
		Found: func(t *testing.T, path string, err error) { s.after(t, state(path), err) },
	}
}

// samples stand for all records, which are of one make.
const samples = "credentials/agent.cak identity.json enrollment/retry.json"

// stores checks that the record is the old value, or the new one, which is 2,
// as it is once its save has returned nil; 0 stands for nothing.
func (s subject) stores(old int) func(*testing.T, string, error) {
	return func(t *testing.T, path string, err error) {
		var got recoveries
		d := open(t, path, Options{Recovered: got.add})
		d.disk.Around = powercut.Unsynced
		v, loadErr := s.load(d)
		switch {
		case loadErr == nil && reflect.DeepEqual(v, s.value(2)):
		case err != nil && old != 0 && loadErr == nil && reflect.DeepEqual(v, s.value(old)):
		case err != nil && old == 0 && errors.Is(loadErr, ports.ErrNotStored):
		default:
			t.Errorf("found %v, %v; it was %d before, and the save said %v", v, loadErr, old, err)
		}
		for _, a := range got.actions() {
			if a != "completed an interrupted replacement" {
				t.Errorf("recovered by %q", a)
			}
		}
		// And life goes on.
		disktest.Must(t, s.save(d, 3))
		s.loads(t, open(t, path, Options{}), 3)
	}
}

func scenes() (all []scene) {
	for _, s := range subjects {
		old := func(t *testing.T, path string) { disktest.Must(t, s.save(unsyncedDir(t, path), 1)) }
		save := func(d *Dir) error { return s.save(d, 2) }
		load := func(d *Dir) error { return second(s.load(d)) }
		if s.is(samples) {
			all = append(all,
				scene{s.file + " first save", nil, save, s.stores(0)},
				scene{s.file + " save", old, save, s.stores(1)},
				scene{
					s.file + " load of an interrupted save",
					func(t *testing.T, path string) {
						file := filepath.Join(path, s.file)
						disktest.Must(t, s.save(unsyncedDir(t, path), 2))
						disktest.Must(t, os.Rename(file, file+".kept"))
						old(t, path)
						disktest.Must(t, os.Rename(file+".kept", file+durable.NewSuffix))
					},
					load,
					func(t *testing.T, path string, _ error) { s.loads(t, unsyncedDir(t, path), 2) },
				},
				scene{
					s.file + " load of damage",
					func(t *testing.T, path string) { disktest.Write(t, filepath.Join(path, s.file), "evidence") },
					load,
					func(t *testing.T, path string, _ error) {
						_, err := s.load(unsyncedDir(t, path))
						if !errors.Is(err, ports.ErrDamaged) && !errors.Is(err, ports.ErrNotStored) {
							t.Errorf("load: %v", err)
						}
						if !slices.ContainsFunc(disktest.Tree(t, path), func(f string) bool { return string(disktest.Read(t, filepath.Join(path, f))) == "evidence" }) {
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
				return save(d)
			}
			all = append(all, scene{s.file + " first reserve and save", nil, reserveAndSave, s.stores(0)}, scene{s.file + " reserve and save", old, reserveAndSave, s.stores(1)})
		}
		if s.erase != nil {
			all = append(all, scene{s.file + " erase", old, s.erase, func(t *testing.T, path string, err error) {
				v, loadErr := s.load(unsyncedDir(t, path))
				if loadErr == nil && err == nil || loadErr != nil && !errors.Is(loadErr, ports.ErrNotStored) {
					t.Errorf("erased, but loaded %v, %v", v, loadErr)
				}
			}})
		}
	}
	all = append(all, scene{
		"reject a bundle",
		func(t *testing.T, path string) {
			disktest.Must(t, unsyncedDir(t, path).SaveBundle(t.Context(), received(1)))
		},
		func(d *Dir) error { _, err := d.RejectBundle(context.Background()); return err },
		func(t *testing.T, path string, err error) {
			d := open(t, path, Options{Recovered: func(r ports.Recovery) { t.Errorf("recovered from %+v", r) }})
			d.disk.Around = powercut.Unsynced
			_, loadErr := d.LoadBundle(t.Context())
			if loadErr == nil && err == nil {
				t.Error("rejected, but still there")
			}
			if loadErr == nil {
				_, err := d.RejectBundle(t.Context())
				disktest.Must(t, err)
			} else if !errors.Is(loadErr, ports.ErrNotStored) {
				t.Errorf("load: %v", loadErr)
			}
			facts, err := d.Facts(t.Context())
			disktest.Must(t, err)
			if len(facts.Rejected) == 0 {
				t.Fatal("the bundle is lost")
			}
			b, err := d.bundle.judge("", []byte(disktest.Read(t, facts.Rejected[0])))
			disktest.Must(t, err)
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
					disktest.Must(t, s.save(d, 1))
				}
				for _, name := range append(bystanders, "identity.json.damaged-1") {
					disktest.Write(t, filepath.Join(path, name), name)
				}
				if lost != "" {
					disktest.Must(t, os.Remove(filepath.Join(path, lost)))
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
					disktest.Must(t, err)
				}
				moved := map[string]bool{}
				for _, f := range disktest.Tree(t, path) {
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

// TestCrashAtEveryStep stops each scene before every call that changes something,
// and has every call fail for good from each one on, those that only look too:
// a call that could not look must not return nil.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if n := s.onDisk(t).Crash(t); n < 2 {
				t.Errorf("only %d calls were seen", n)
			}
			s.onDisk(t).Fail(t, syscall.EIO, false)
		})
	}
}

// TestFaultAtEveryStep fails each call of a save, once or from then on, and
// shows what the store that met it says, and that it goes on once the disk works
// again.
func TestFaultAtEveryStep(t *testing.T) {
	t.Parallel()
	s := subjects[0]
	for _, reserved := range []bool{false, true} {
		for fault, once := range map[error]bool{syscall.ENOSPC: true, syscall.EIO: true, syscall.EDQUOT: false, syscall.EROFS: false} {
			t.Run(fmt.Sprintf("reserved=%v %v", reserved, fault), func(t *testing.T) {
				t.Parallel()
				var running *Dir
				scene{
					prepare: func(t *testing.T, path string) { disktest.Must(t, s.save(unsyncedDir(t, path), 1)) },
					run: func(d *Dir) error {
						running = d
						if reserved {
							if err := s.reserve(d); err != nil {
								return err
							}
						}
						return s.save(d, 2)
					},
					after: func(t *testing.T, path string, err error) {
						if err != nil {
							if !errors.Is(err, ports.ErrNotWritten) && !errors.Is(err, ports.ErrUnreadable) {
								t.Errorf("error of no kind: %v", err)
							}
							if !errors.Is(err, fault) || !strings.Contains(err.Error(), running.Path()) {
								t.Errorf("error without cause or path: %v", err)
							}
							if strings.Contains(err.Error(), canary[:12]) {
								t.Error("the error holds the key")
							}
						}
						if path != running.Path() { // as the power left it
							s.stores(1)(t, path, err)
							return
						}
						running.disk.Around = powercut.Unsynced
						switch {
						case err == nil:
							s.loads(t, running, 2)
						case once: // what was stored is still stored
							s.loads(t, running, 1)
						}
						s.stores(1)(t, path, err)
						s.loads(t, running, 3)
					},
				}.onDisk(t).Fail(t, fault, once)
			})
		}
	}
}
