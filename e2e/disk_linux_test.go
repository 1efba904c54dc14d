package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

// page is what a tmpfs gives out at a time, in bytes.
const page = 4 << 10

// disk is a small file system.
type disk struct {
	t   *testing.T
	dir string
}

// newDisk mounts a tmpfs of 256 KiB and puts the machine's state directory
// there.
func newDisk(t *testing.T, m *machine) *disk {
	t.Helper()
	d := &disk{t, publicDir(t)}
	d.mount(0, "size=256k,mode=0755")
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	m.dir = filepath.Join(d.dir, "state")
	m.env["MUSTER_STATE_DIR"] = m.dir
	return d
}

func (d *disk) mount(flags uintptr, data string) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", flags, data); err != nil {
		d.t.Fatal(err)
	}
}

// readOnly mounts it for reading only, or for writing again.
func (d *disk) readOnly(yes bool) {
	d.t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if yes {
		flags |= syscall.MS_RDONLY
	}
	d.mount(flags, "size=256k")
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill leaves so many pages free.
func (d *disk) fill(left int) {
	d.t.Helper()
	f, err := os.Create(d.ballast())
	if err != nil {
		d.t.Fatal(err)
	}
	size, full := int64(0), make([]byte, page)
	for err == nil {
		var n int
		n, err = f.Write(full)
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) || size < int64(left)*page {
		d.t.Fatalf("filling the disk: %v after %d bytes", err, size)
	}
	if err := errors.Join(f.Truncate(size-int64(left)*page), f.Close()); err != nil {
		d.t.Fatal(err)
	}
}

// free gives all back.
func (d *disk) free() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

// However little is free: either nothing is sent, or the key is stored.
func TestAFullDiskLosesNoKey(t *testing.T) {
	t.Parallel()
	if !inNamespace(t) {
		return
	}
	stored, refused := 0, 0
	for left := range 10 {
		is := is.New(t)
		s := startServer(t)
		m := newMachine(t, s).hasty()
		d := newDisk(t, m)
		d.fill(left)

		r := m.do("enroll")
		switch {
		case r.code == 0 && s.enrollments() == 1 && m.key() != "":
			stored++
		case r.code == 1 && s.enrollments() == 0 && strings.Contains(r.out, "Nothing was sent") && strings.Contains(r.out, "free some space"):
			refused++
		default:
			t.Errorf("%d pages free: %d requests\n%v", left, s.enrollments(), r)
		}
		d.free()
		a := m.start().connected()
		s.onlyMachine(m)
		is.Equal(s.enrollments(), 1)
		a.kill()
	}
	if stored == 0 || refused == 0 {
		t.Errorf("%d stored, %d refused: not both were seen", stored, refused)
	}
}

func TestADiskThatFillsUpDuringTheRequestLosesNoKey(t *testing.T) {
	t.Parallel()
	if !inNamespace(t) {
		return
	}
	is := is.New(t)
	s := startServer(t)
	s.fault(enrollPath, 1, action{Delay: "500ms"})
	m := newMachine(t, s)
	d := newDisk(t, m)
	a := m.start()
	s.asked(enrollPath, 1)
	d.fill(0)
	a.logged("credential.stored", 1)
	a.connected()
	s.onlyMachine(m)
	is.Equal(s.enrollments(), 1)
	a.kill()
	m.start().connected() // with the key from the disk
	is.Equal(s.enrollments(), 1)
}

// A fresh machine waits until it can store a key; one that has a key connects,
// and again after a restart.
func TestWithAStateDirectoryThatCannotBeWrittenItGoesOn(t *testing.T) {
	t.Parallel()
	if !inNamespace(t) {
		return
	}
	for advice, way := range map[string]struct{ spoil, mend func(*disk) }{
		"free some space":               {func(d *disk) { d.fill(0) }, (*disk).free},
		"make its file system writable": {func(d *disk) { d.readOnly(true) }, func(d *disk) { d.readOnly(false) }},
	} {
		is := is.New(t)
		s := startServer(t)
		m := newMachine(t, s).hasty()
		d := newDisk(t, m)
		is.NoErr(os.Mkdir(m.dir, 0o700))
		way.spoil(d)
		a := m.start()
		l := a.waited("enroll.retry", 3)
		is.Equal(l.Class, "transient")
		is.Equal(l.Attempt, 3) // counted in memory
		is.True(strings.Contains(l.Msg, "nothing was sent") && strings.Contains(l.Msg, advice))
		is.Equal(s.enrollments(), 0)
		way.mend(d)
		a.connected()
		key := m.key()

		a.kill()
		way.spoil(d)
		a = m.start().connected()
		s.cut(m)
		a.logged("relay.connected", 2)
		s.send(m, `{"type":"reenroll"}`) // for a key that could not be stored
		a.logged("enroll.retry", 3)
		is.Equal(s.enrollments(), 1)
		if r := m.do("status", "--json"); strings.Contains(r.out, `"state":"stopped"`) {
			t.Errorf("the status says of an agent that runs: %v", r)
		}
		is.Equal(m.start().wait(), 1) // one service at a time
		is.Equal(first(a.stop()), 0)
		is.True(strings.Contains(m.must(1, "enroll", "--force").out, "Nothing was sent"))
		is.Equal(m.key(), key)
	}
}
