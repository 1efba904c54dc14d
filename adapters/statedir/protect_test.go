package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
	"github.com/muster-agent/muster/adapters/internal/durable/powercut"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

const secret = "credentials/agent.cak enrollment/pending.json enrollment/key.pem enrollment/bundle.json"

// broken is a protection that does not work for this process.
type broken struct{ ports.Protector }

func (broken) Protect(ports.Secret, string, string) ([]byte, error) {
	return nil, errors.New("the protection does not work")
}

func (broken) Unprotect([]byte, string, string) (ports.Secret, error) {
	return ports.Secret{}, ports.ErrUnreadable
}

// altered makes of a protected record one that is sound but for what change
// does to what was wrapped.
func altered(t *testing.T, record string, change func(*protectedJSON)) string {
	t.Helper()
	e, err := unseal([]byte(record))
	disktest.Must(t, err)
	var j protectedJSON
	disktest.Must(t, json.Unmarshal(e.Payload, &j))
	change(&j)
	payload, err := json.Marshal(j)
	disktest.Must(t, err)
	data, err := seal(e.Format, e.WrittenBy, payload)
	disktest.Must(t, err)
	return string(data)
}

func TestProtected(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		t.Run(s.file, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			path := newDir(t)
			opts := Options{Protector: contracttest.NewMemoryProtector()}
			d := open(t, path, opts)
			d.disk.Around = powercut.Unsynced
			is.Equal(d.Protection(), "dpapi")
			is.NoErr(d.SaveIdentity(t.Context(), identity(1)))
			is.NoErr(s.save(d, 1))
			file := filepath.Join(path, s.file)
			sound := disktest.Read(t, file)
			if !s.is(secret) {
				s.loads(t, open(t, path, Options{}), 1) // not worth wrapping
				return
			}
			is.Equal(contracttest.Reveals([]byte(sound), ports.NewSecret(canary)), "")
			e, err := unseal([]byte(sound))
			is.NoErr(err)
			is.Equal(e.Format, protectedFormat)

			// Whatever is changed, and the checksum with it, it is set aside.
			changes := map[string]func(*protectedJSON){
				"another machine_uid": func(j *protectedJSON) { j.MachineUID = identity(2).MachineUID },
				"no machine_uid":      func(j *protectedJSON) { j.MachineUID = "" },
				"another protection":  func(j *protectedJSON) { j.By = "rot13" },
				"nothing":             func(j *protectedJSON) { j.Wrapped = nil },
				"cut":                 func(j *protectedJSON) { j.Wrapped = j.Wrapped[:len(j.Wrapped)-1] },
			}
			for n := range 8 { // the suite of the protection takes each byte
				changes[fmt.Sprint("byte ", n)] = func(j *protectedJSON) { j.Wrapped[n*len(j.Wrapped)/8] ^= 1 }
			}
			for name, change := range changes {
				disktest.Write(t, file, altered(t, sound, change))
				_, err := s.load(open(t, path, Options{ReadOnly: true, Protector: opts.Protector}))
				is.True(errors.Is(err, ports.ErrDamaged) && errors.Is(err, ports.ErrUnprotectable))
				s.damaged(t, d, path, name)
			}
			for name, change := range map[string]func(*protectedJSON){
				"wrapped twice":  func(j *protectedJSON) { j.Format = protectedFormat },
				"without format": func(j *protectedJSON) { j.Format = 0 },
			} {
				disktest.Write(t, file, altered(t, sound, change))
				s.damaged(t, d, path, name)
			}
			disktest.Write(t, file, altered(t, sound, func(j *protectedJSON) { j.Format = bundleFormat + 1 }))
			_, err = s.load(d)
			is.True(errors.Is(err, ports.ErrNewerFormat))
			is.True(strings.Contains(err.Error(), "1.2.3")) // which says who wrote it

			// Another record's, for another purpose.
			for _, other := range subjects {
				if other.is(secret) && other.file != s.file {
					is.NoErr(other.save(d, 1))
					disktest.Write(t, file, disktest.Read(t, filepath.Join(path, other.file)))
					s.damaged(t, d, path, other.file)
				}
			}
			// Another machine, or a system without protection.
			for _, p := range []ports.Protector{contracttest.NewMemoryProtector(), nil} {
				elsewhere := open(t, path, Options{Protector: p})
				disktest.Write(t, file, sound)
				s.damaged(t, elsewhere, path, "elsewhere")
				is.NoErr(os.Remove(file))
			}
		})
	}
}

// TestTheMachineThatARecordIsBoundTo: a credential names its own, the others
// belong to the machine of the directory.
func TestTheMachineThatARecordIsBoundTo(t *testing.T) {
	t.Parallel()
	path := newDir(t)
	d := open(t, path, Options{Protector: contracttest.NewMemoryProtector()})
	disktest.Must(t, d.SaveIdentity(t.Context(), identity(1)))
	for _, s := range subjects {
		if !s.is(secret) {
			continue
		}
		disktest.Must(t, s.save(d, 2))
		want := identity(1).MachineUID
		if s.file == "credentials/agent.cak" {
			want = credential(2).MachineUID
		}
		altered(t, disktest.Read(t, filepath.Join(path, s.file)), func(j *protectedJSON) { is.New(t).Equal(j.MachineUID, want) })
	}
}

// TestWrittenByAnEarlierVersion shows that a record in the clear is read and
// then protected, with nothing lost when that fails.
func TestWrittenByAnEarlierVersion(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if !s.is(secret) {
			continue
		}
		is := is.New(t)
		path := newDir(t)
		is.NoErr(s.save(open(t, path, Options{}), 1))
		file := filepath.Join(path, s.file)
		clear := disktest.Read(t, file)

		p := contracttest.NewMemoryProtector()
		s.loads(t, open(t, path, Options{ReadOnly: true, Protector: p}), 1)
		s.loads(t, open(t, path, Options{Protector: broken{p}}), 1)
		is.Equal(disktest.Read(t, file), clear)
		var got recoveries
		d := open(t, path, Options{Protector: p, Recovered: got.add})
		if s.reserve != nil {
			is.NoErr(s.reserve(d))
			s.loads(t, d, 1)
			is.Equal(disktest.Read(t, file), clear) // the room is for what comes
			d = open(t, path, Options{Protector: p, Recovered: got.add})
		}
		s.loads(t, d, 1)
		is.Equal(contracttest.Reveals([]byte(disktest.Read(t, file)), ports.NewSecret(canary)), "")
		s.loads(t, d, 1)
		is.Equal(len(got), 0)
	}
}

// TestProtectionThatFails shows that what cannot be unprotected just now is
// neither set aside nor written over.
func TestProtectionThatFails(t *testing.T) {
	t.Parallel()
	for _, s := range subjects {
		if !s.is(secret) {
			continue
		}
		is := is.New(t)
		path := newDir(t)
		p := contracttest.NewMemoryProtector()
		is.NoErr(s.save(open(t, path, Options{Protector: p}), 1))
		before := disktest.Read(t, filepath.Join(path, s.file))
		d := open(t, path, Options{Protector: broken{p}})
		_, err := s.load(d)
		is.True(errors.Is(err, ports.ErrUnreadable))
		is.True(strings.Contains(err.Error(), filepath.Join(path, s.file)))
		is.True(s.save(d, 2) != nil)
		is.Equal(disktest.Read(t, filepath.Join(path, s.file)), before)
		is.True(slices.Equal(disktest.Tree(t, path), []string{s.file}))
		s.loads(t, open(t, path, Options{Protector: p}), 1)
	}
}

// TestThePlaceholderHoldsAProtectedRecord shows that a full record still lies
// where its placeholder lay.
func TestThePlaceholderHoldsAProtectedRecord(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := newDir(t)
	d := open(t, path, Options{Protector: contracttest.NewMemoryProtector()})
	is.NoErr(d.Reserve(t.Context()))
	is.NoErr(d.ReserveBundle(t.Context()))
	room := size(t, filepath.Join(path, "credentials/agent.cak.new"))
	roomForBundle := size(t, filepath.Join(path, "enrollment/bundle.json.new"))
	is.True(d.bundle.hasRoom())

	// As much as fits without protection.
	full := credential(1)
	for {
		longer := full
		longer.Key = ports.NewSecret(full.Key.Reveal() + strings.Repeat("k", 64))
		payload, err := d.credential.marshal(longer)
		is.NoErr(err)
		if len(payload)+200 > credentialRoom { // its envelope
			break
		}
		full = longer
	}
	is.NoErr(d.Save(t.Context(), full))
	is.True(size(t, filepath.Join(path, "credentials/agent.cak")) <= room)
	big := received(1)
	big.Raw = ports.NewSecret(strings.Repeat("b", 48<<10))
	is.NoErr(d.SaveBundle(t.Context(), big))
	is.True(size(t, filepath.Join(path, "enrollment/bundle.json")) <= roomForBundle)
}
