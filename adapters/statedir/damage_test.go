package statedir

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

// TestDamage does to each file what a disk or a person may do to it. The result
// is always damage that is set aside, or the value itself; then a save works.
func TestDamage(t *testing.T) {
	t.Parallel()
	step := 1
	if runtime.GOOS == "windows" {
		step = 7 // files cost ten times as much there, and the judgement is the same
	}
	for _, s := range subjects {
		t.Run(filepath.Base(s.file), func(t *testing.T) {
			t.Parallel()
			path := newDir(t)
			d := open(t, path, Options{})
			d.disk.Around = powercut.Unsynced
			disktest.Must(t, s.save(d, 1))
			file := filepath.Join(path, s.file)
			sound := disktest.Read(t, file)

			put := func(content string) func() { return func() { disktest.Write(t, file, content) } }
			damages := map[string]func(){
				"zeros":                   put(strings.Repeat("\x00", len(sound))),
				"garbage":                 put(strings.Repeat("\xde\xad{\"", 100)),
				"null":                    put("null"),
				"a longer file's remains": put(sound + "}"),
				"huge":                    func() { disktest.Write(t, file, ""); disktest.Must(t, os.Truncate(file, maxFile+1)) },
				"a directory":             func() { disktest.Must(t, os.MkdirAll(filepath.Join(file, "x"), 0o700)) },
				"another record":          put(s.enclose(t, `{"other":1}`)),
				"wrong types":             put(s.enclose(t, `[1,2]`)),
			}
			for n := 0; n < len(sound)-1; n += step { // without the newline it is sound
				damages[fmt.Sprintf("cut at %d", n)] = put(sound[:n])
			}
			for name, do := range damages {
				disktest.Must(t, os.RemoveAll(file))
				do()
				s.damaged(t, d, path, name)
			}
			for n := 0; n < len(sound); n += step {
				flipped := []byte(sound)
				flipped[n] ^= 1 << (n % 8)
				disktest.Write(t, file, string(flipped))
				v, err := s.load(d)
				if err == nil && !reflect.DeepEqual(v, s.value(1)) {
					t.Fatalf("bit %d of byte %d flipped: loaded %+v", n%8, n, v)
				}
				if err != nil && !errors.Is(err, ports.ErrDamaged) {
					t.Fatalf("bit %d of byte %d flipped: %v", n%8, n, err)
				}
			}
		})
	}
}

// enclose makes payload what the record's file would hold, whatever it says.
func (s subject) enclose(t *testing.T, payload string) string {
	t.Helper()
	if s.is(bare) {
		return fmt.Sprintf("sha256: %x\n%s", sha256.Sum256([]byte(payload)), payload)
	}
	data, err := seal(1, "", []byte(payload))
	disktest.Must(t, err)
	return string(data)
}

// TestEveryByteCounts changes each byte of a record into each other byte: it is
// damaged, or still the same (a name's case does not matter to the decoder),
// and never another version's.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	data, err := seal(1, "1.2.3", []byte(`{"a":"b"}`))
	disktest.Must(t, err)
	want, err := unseal(data)
	disktest.Must(t, err)
	for n := range data {
		for bits := 1; bits < 256; bits++ {
			changed := slices.Clone(data)
			changed[n] ^= byte(bits)
			e, err := unseal(changed)
			if err == nil && !reflect.DeepEqual(e, want) || err != nil && !errors.As(err, new(*damage)) {
				t.Fatalf("byte %d ^ %#x: %+v, %v", n, bits, e, err)
			}
		}
	}
}

// damaged checks what follows damage and leaves the record sound.
func (s subject) damaged(t *testing.T, d *Dir, path, name string) {
	t.Helper()
	var got recoveries
	d.opts.Recovered = got.add
	defer func() { d.opts.Recovered = nil }()
	file := filepath.Join(path, s.file)

	_, err := s.load(d)
	if !errors.Is(err, ports.ErrDamaged) {
		t.Fatalf("%s: error %v, want ErrDamaged", name, err)
	}
	if len(got) != 1 || got[0].Action != "set aside" || got[0].File != file || got[0].Reason == "" {
		t.Fatalf("%s: reported %+v", name, got)
	}
	if _, err := os.Lstat(got[0].SetAside); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if _, err := s.load(d); !errors.Is(err, ports.ErrNotStored) {
		t.Fatalf("%s: second load: error %v, want ErrNotStored", name, err)
	}
	if err := s.save(d, 1); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	s.loads(t, d, 1)
}

// TestSaveOverDamage shows that a save without a load before it sets aside too.
func TestSaveOverDamage(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		path := newDir(t)
		var got recoveries
		d := open(t, path, Options{Recovered: got.add})
		disktest.Write(t, filepath.Join(path, s.file), "garbage")
		disktest.Must(t, s.save(d, 1))
		s.loads(t, d, 1)
		is := is.New(t)
		is.Equal(got.actions(), []string{"set aside"})
		is.Equal(disktest.Read(t, got[0].SetAside), "garbage")
	}
}

// TestDamageThatStays shows that what cannot be set aside is not written over
// either.
func TestDamageThatStays(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		is := is.New(t)
		path := newDir(t)
		var got recoveries
		d := open(t, path, Options{Recovered: got.add})
		d.disk.Around = func(op durable.Op, path string, call func() error) error {
			if op == durable.OpRename && strings.Contains(path, durable.DamagedInfix) {
				return fs.ErrPermission
			}
			return call()
		}
		disktest.Write(t, filepath.Join(path, s.file), "garbage")
		for range 2 {
			is.True(errors.Is(s.save(d, 1), ports.ErrNotWritten))
			is.True(errors.Is(second(s.load(d)), ports.ErrDamaged))
		}
		is.Equal(disktest.Read(t, filepath.Join(path, s.file)), "garbage")
		is.Equal(got.actions(), []string{"ignored"})
		d.disk.Around = nil
		is.NoErr(s.save(d, 1))
		s.loads(t, d, 1)
	}
}

func TestFolderReplacedByAFile(t *testing.T) {
	t.Parallel()
	folderReplaced(t, t.TempDir(), func(folder string) error { return os.WriteFile(folder, []byte("x"), 0o600) })
}

func TestFolderReplacedByALink(t *testing.T) {
	contracttest.SkipWithoutLinks(t)
	t.Parallel()
	outside := t.TempDir()
	folderReplaced(t, outside, func(folder string) error { return os.Symlink(outside, folder) })
	folderReplaced(t, outside, func(folder string) error { return os.Symlink(".", folder) })
}

// folderReplaced shows that what replace puts in a folder's place is set aside
// and not followed to outside.
func folderReplaced(t *testing.T, outside string, replace func(folder string) error) {
	t.Helper()
	for _, s := range subjects {
		if filepath.Dir(s.file) == "." {
			continue
		}
		t.Run(s.file, func(t *testing.T) {
			is := is.New(t)
			path := newDir(t)
			var got recoveries
			d := open(t, path, Options{Recovered: got.add})
			is.NoErr(replace(filepath.Join(path, filepath.Dir(s.file))))
			_, err := s.load(d)
			is.True(errors.Is(err, ports.ErrDamaged))
			_, err = s.load(d)
			is.True(errors.Is(err, ports.ErrNotStored))
			is.NoErr(s.save(d, 1))
			s.loads(t, d, 1)

			is.NoErr(os.RemoveAll(filepath.Join(path, filepath.Dir(s.file))))
			is.NoErr(replace(filepath.Join(path, filepath.Dir(s.file))))
			is.NoErr(s.save(d, 2)) // without a load before
			s.loads(t, d, 2)
			is.Equal(got.actions(), []string{"set aside", "set aside"})
			is.Equal(len(disktest.Tree(t, outside)), 0)
		})
	}
}

// TestSymlinks shows that a link in a file's place is neither followed nor
// removed, wherever it leads.
func TestSymlinks(t *testing.T) {
	contracttest.SkipWithoutLinks(t)
	t.Parallel()
	for _, s := range subjects {
		for _, name := range []string{s.file, s.file + ".new"} {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				path := newDir(t)
				d := open(t, path, Options{})
				is.NoErr(s.save(d, 1))
				file := filepath.Join(path, s.file)
				target := filepath.Join(t.TempDir(), "target")
				is.NoErr(os.Rename(file, target))
				sound := disktest.Read(t, target)
				is.NoErr(os.Symlink(target, filepath.Join(path, name)))
				_, err := s.load(d)
				is.True(errors.Is(err, ports.ErrDamaged) || name != s.file && errors.Is(err, ports.ErrNotStored))
				is.NoErr(s.save(d, 2))
				s.loads(t, d, 2)
				is.Equal(disktest.Read(t, target), sound)
				aside, err := filepath.Glob(filepath.Join(path, name) + ".damaged-*")
				is.NoErr(err)
				is.Equal(len(aside), 1)
			})
		}
	}
}

func TestNewerFormatIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if s.is(bare) {
			continue // its form is that of others
		}
		for _, name := range []string{s.file, s.file + ".new"} {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				path := newDir(t)
				var got recoveries
				d := open(t, path, Options{Recovered: got.add})
				format := bundleFormat + 1
				if !s.is(secret) {
					format = protectedFormat // which is nothing special there
				}
				newer, err := seal(format, "9.8.7", []byte(`"a form not known yet"`))
				is.NoErr(err)
				file := filepath.Join(path, name)
				disktest.Write(t, file, string(newer))
				_, err = s.load(d)
				is.True(errors.Is(err, ports.ErrNewerFormat))
				is.True(strings.Contains(err.Error(), "9.8.7") && strings.Contains(err.Error(), file))
				is.True(errors.Is(s.save(d, 1), ports.ErrNewerFormat))
				if s.reserve != nil {
					is.True(errors.Is(s.reserve(d), ports.ErrNewerFormat))
				}
				if s.erase != nil {
					is.True(errors.Is(s.erase(d), ports.ErrNewerFormat))
				}
				is.Equal(disktest.Read(t, file), string(newer))
				is.Equal(disktest.Tree(t, path), []string{name})
				is.Equal(len(got), 0)
			})
		}
	}
}

// TestWhatLiesBesideARecordCountsOnceTheRoomIsUsed shows that a placeholder is
// expected there until the next save, and no longer.
func TestWhatLiesBesideARecordCountsOnceTheRoomIsUsed(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if s.reserve == nil {
			continue
		}
		elsewhere := newDir(t)
		disktest.Must(t, s.save(open(t, elsewhere, Options{}), 2))
		path := newDir(t)
		d := open(t, path, Options{})
		disktest.Must(t, s.reserve(d))
		disktest.Must(t, s.save(d, 1))
		disktest.Write(t, filepath.Join(path, s.file+".new"), disktest.Read(t, filepath.Join(elsewhere, s.file)))
		s.loads(t, d, 2)
	}
}

// TestInterruptedReplacement covers what may lie beside each other.
func TestInterruptedReplacement(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		content := func(n int) string {
			path := newDir(t)
			disktest.Must(t, s.save(open(t, path, Options{}), n))
			return disktest.Read(t, filepath.Join(path, s.file))
		}
		old, fresh, bad := content(1), content(2), "half a rec"
		for _, c := range []struct {
			name          string
			final, orphan string // "" for no final
			want          int    // 0: not stored, -1: damaged
			actions       []string
		}{
			{"sound, sound", old, fresh, 2, []string{"completed an interrupted replacement"}},
			{"nothing, sound", "", fresh, 2, []string{"completed an interrupted replacement"}},
			{"damaged, sound", bad, fresh, 2, []string{"set aside", "completed an interrupted replacement"}},
			{"sound, damaged", old, bad, 1, nil},
			{"nothing, damaged", "", bad, 0, nil},
			{"damaged, damaged", bad, bad, -1, []string{"set aside"}},
			{"sound, empty", old, "", 1, nil},
		} {
			t.Run(s.file+": "+c.name, func(t *testing.T) {
				is := is.New(t)
				path := newDir(t)
				file := filepath.Join(path, s.file)
				if c.final != "" {
					disktest.Write(t, file, c.final)
				}
				disktest.Write(t, file+".new", c.orphan)
				var got recoveries
				d := open(t, path, Options{Recovered: got.add})
				switch c.want {
				case 0:
					_, err := s.load(d)
					is.True(errors.Is(err, ports.ErrNotStored))
				case -1:
					_, err := s.load(d)
					is.True(errors.Is(err, ports.ErrDamaged))
				default:
					s.loads(t, d, c.want)
					s.loads(t, open(t, path, Options{}), c.want)
				}
				is.Equal(got.actions(), c.actions)
				_, err := os.Lstat(file + ".new")
				is.True(errors.Is(err, fs.ErrNotExist))
			})
		}
	}
}

// FuzzLoadRecord takes any bytes for the content of any record.
func FuzzLoadRecord(f *testing.F) {
	path := newDir(f)
	d := open(f, path, Options{})
	for _, s := range subjects {
		disktest.Must(f, s.save(d, 1))
		f.Add([]byte(disktest.Read(f, filepath.Join(path, s.file))))
	}
	for _, payload := range []string{`null`, `{}`, `{"activities":{"site":null}}`, `[]`, `"x"`} {
		data, err := seal(1, "1", []byte(payload))
		disktest.Must(f, err)
		f.Add(data)
	}
	interpreted := received(1)
	interpreted.Raw, interpreted.Interpreted = ports.Secret{}, &ports.Bundle{CA: []byte("ca"), Cert: []byte("cert"), Key: privateKey(2)}
	for _, payload := range []func() ([]byte, error){
		func() ([]byte, error) { return d.credential.marshal(credential(1)) },
		func() ([]byte, error) { return d.identity.marshal(identity(1)) },
		func() ([]byte, error) { return d.retries.marshal(retries(1)) },
		func() ([]byte, error) { return d.pending.marshal(pending(1)) },
		func() ([]byte, error) { return d.bundle.marshal(received(1)) },
		func() ([]byte, error) { return d.bundle.marshal(interpreted) },
	} {
		data, err := payload()
		disktest.Must(f, err)
		f.Add(data)
	}
	newer, err := seal(7, "2", []byte(`1`))
	disktest.Must(f, err)
	f.Add(newer)
	f.Add([]byte{})
	f.Add([]byte(privateKey(1).Reveal()))
	f.Fuzz(func(t *testing.T, data []byte) {
		contents := [][]byte{data}
		// The same as a payload, since no fuzzer finds a checksum.
		for _, format := range []int{1, bundleFormat} {
			if sealed, err := seal(format, "1", data); err == nil {
				contents = append(contents, sealed)
			}
		}
		for _, content := range contents {
			judged(t, &d.credential, content)
			judged(t, &d.identity, content)
			judged(t, &d.retries, content)
			judged(t, &d.pending, content)
			judged(t, &d.bundle, content)
		}
		judged(t, &d.key, data)
		judged(t, &d.key, fmt.Appendf(nil, "sha256: %x\n%s", sha256.Sum256(data), data))
	})
}

// judged checks that data is damaged, a newer version's, or a record that can
// be written and read again as it is.
func judged[T any](t *testing.T, r *record[T], data []byte) {
	t.Helper()
	found, err := r.judge(r.name, data)
	if err != nil {
		if !errors.As(err, new(*damage)) && !errors.Is(err, ports.ErrNewerFormat) {
			t.Errorf("%s: %v", r.name, err)
		}
		return
	}
	v := found.(T)
	payload, err := r.marshal(v)
	if err != nil {
		return // a time that its zone carries into the year 10000
	}
	again, err := r.unmarshal(r.format, payload)
	if err != nil || !reflect.DeepEqual(v, again) {
		t.Errorf("%s: %+v became %+v, %v", r.name, v, again, err)
	}
}
