package contracttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// Record names one of the things that a Store keeps.
type Record string

// The records.
const (
	RecordCredential Record = "credential"
	RecordIdentity   Record = "identity"
	RecordRetries    Record = "retries"
	RecordPending    Record = "pending enrollment"
	RecordKey        Record = "private key" // PEM: it has no format that could be newer
	RecordBundle     Record = "received bundle"
)

// Trouble is what may happen to a stored record.
type Trouble string

// The troubles, each with the kind of error that the port has for it.
const (
	NoSpace     Trouble = "no space"     // ErrNotWritten
	Unreadable  Trouble = "unreadable"   // ErrUnreadable
	Damaged     Trouble = "damaged"      // ErrDamaged
	NewerFormat Trouble = "newer format" // ErrNewerFormat
)

// TroubledPlace is an empty place, and what can happen to it.
type TroubledPlace[S any] struct {
	Open func() S // the start of a process, as in the other suites
	// Inflict brings trouble upon a stored record, for every process that was or
	// will be opened, until end is called. Damage does not end.
	Inflict func(r Record, trouble Trouble) (end func())
}

// StoreTroubles is a second suite of every store of the state directory: what
// each answers in trouble, and what is stored afterwards.
func StoreTroubles[S Store](t *testing.T, fresh func(*testing.T) TroubledPlace[S]) {
	names(t, "StoreTroubles")
	troubles(t, fresh, RecordCredential, credential, func(s S) troubled[ports.Credential] {
		return troubled[ports.Credential]{accessors[ports.Credential]{s.Load, s.Save}, s.Reserve}
	})
	t.Run("a newer version's record is named, another that cannot be read is not", func(t *testing.T) {
		is := is.New(t)
		for _, r := range []Record{RecordCredential, RecordIdentity, RecordRetries, RecordPending, RecordBundle} {
			for _, trouble := range []Trouble{NewerFormat, Unreadable, Damaged} {
				p := fresh(t)
				s := p.Open()
				is.NoErr(s.Newer(t.Context())) // nothing is stored
				fill(t, s)
				is.NoErr(s.Newer(t.Context()))
				end := p.Inflict(r, trouble)
				if err := s.Newer(t.Context()); errors.Is(err, ports.ErrNewerFormat) != (trouble == NewerFormat) || err != nil && trouble != NewerFormat {
					t.Errorf("%s, %s: %v", r, trouble, err)
				}
				end()
			}
		}
	})
	troubles(t, fresh, RecordIdentity, identity, func(s S) troubled[ports.Identity] {
		return troubled[ports.Identity]{accessors[ports.Identity]{s.LoadIdentity, s.SaveIdentity}, nil}
	})
	troubles(t, fresh, RecordRetries, retries, func(s S) troubled[ports.RetryRecord] {
		return troubled[ports.RetryRecord]{accessors[ports.RetryRecord]{s.LoadRetries, s.SaveRetries}, nil}
	})
	troubles(t, fresh, RecordPending, pending, func(s S) troubled[ports.PendingIssue] {
		return troubled[ports.PendingIssue]{accessors[ports.PendingIssue]{s.LoadPending, s.SavePending}, nil}
	})
	troubles(t, fresh, RecordKey, privateKey, func(s S) troubled[ports.Secret] {
		return troubled[ports.Secret]{accessors[ports.Secret]{s.LoadKey, s.SaveKey}, nil}
	})
	troubles(t, fresh, RecordBundle, received, func(s S) troubled[ports.ReceivedBundle] {
		return troubled[ports.ReceivedBundle]{accessors[ports.ReceivedBundle]{s.LoadBundle, s.SaveBundle}, s.ReserveBundle}
	})
}

// troubled is one record of an open store.
type troubled[T any] struct {
	accessors[T]
	reserve func(context.Context) error // nil if no room is kept for it
}

// writes does everything that writes the record, and returns the errors.
func (r troubled[T]) writes(t *testing.T, v T) []error {
	errs := []error{r.save(t.Context(), v)}
	if r.reserve != nil {
		errs = append(errs, r.reserve(t.Context()), r.save(t.Context(), v))
	}
	return errs
}

func troubles[S Store, T any](t *testing.T, fresh func(*testing.T) TroubledPlace[S], r Record, value func(int) T, of func(S) troubled[T]) {
	// stored makes a place where the first value is stored, by a process that
	// goes on running.
	stored := func(t *testing.T) (p TroubledPlace[S], running troubled[T]) {
		p = fresh(t)
		running = of(p.Open())
		is.New(t).NoErr(running.save(t.Context(), value(1)))
		return p, running
	}
	t.Run(string(r)+": a failed write leaves what was stored", func(t *testing.T) {
		p, running := stored(t)
		end := p.Inflict(r, NoSpace)
		for _, s := range []troubled[T]{running, of(p.Open())} {
			for _, err := range s.writes(t, value(2)) {
				storeError(t, err, ports.ErrNotWritten)
			}
			same(t, load(t, s.load), value(1))
		}
		same(t, load(t, of(p.Open()).load), value(1))
		end()
		same(t, load(t, of(p.Open()).load), value(1))
		is.New(t).NoErr(running.save(t.Context(), value(2))) // it goes on by itself
		same(t, load(t, running.load), value(2))
		same(t, load(t, of(p.Open()).load), value(2))
	})
	for trouble, kind := range map[Trouble]error{Unreadable: ports.ErrUnreadable, NewerFormat: ports.ErrNewerFormat} {
		if r == RecordKey && trouble == NewerFormat {
			continue
		}
		t.Run(string(r)+": "+string(trouble)+", it is not written over", func(t *testing.T) {
			p, running := stored(t)
			end := p.Inflict(r, trouble)
			for _, s := range []troubled[T]{running, of(p.Open())} {
				_, err := s.load(t.Context())
				storeError(t, err, kind)
				for _, err := range s.writes(t, value(2)) {
					storeError(t, err, kind)
				}
			}
			end()
			same(t, load(t, of(p.Open()).load), value(1))
			same(t, load(t, running.load), value(1))
		})
	}
	t.Run(string(r)+": damaged, it is said and the caller goes on", func(t *testing.T) {
		p, running := stored(t)
		p.Inflict(r, Damaged)
		_, err := running.load(t.Context())
		storeError(t, err, ports.ErrDamaged)
		_, err = of(p.Open()).load(t.Context())
		storeError(t, err, ports.ErrNotStored)
		is.New(t).NoErr(running.save(t.Context(), value(2)))
		same(t, load(t, running.load), value(2))
		same(t, load(t, of(p.Open()).load), value(2))
	})
	t.Run(string(r)+": damaged, it can be written at once", func(t *testing.T) {
		p, _ := stored(t)
		p.Inflict(r, Damaged)
		is.New(t).NoErr(of(p.Open()).save(t.Context(), value(2)))
		same(t, load(t, of(p.Open()).load), value(2))
	})
}

// storeError checks that an error is of one kind alone and holds none of the
// secrets of the suite.
func storeError(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range []error{ports.ErrNotStored, ports.ErrUnreadable, ports.ErrDamaged, ports.ErrNewerFormat, ports.ErrNotWritten} {
		if errors.Is(err, kind) != (kind == want) {
			t.Errorf("error %v, want one of kind %q", err, want)
		}
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for n := range 3 {
		for _, s := range []ports.Secret{key(n), pending(n).Resume, privateKey(n), received(n).Raw} {
			if !s.Empty() && strings.Contains(text, s.Reveal()) {
				t.Error("a secret in the error")
			}
		}
	}
}

// TroubledFiles are certificate files on a disk that can fill up.
type TroubledFiles struct {
	Open func() ports.CertificateFiles
	// Full makes every write fail until end.
	Full func() (end func())
	// Copies are the contents of what was set aside of the file at path, the
	// oldest first.
	Copies func(path string) []ports.Secret
}

// CertificateTroubles is a second suite of ports.CertificateFiles: what each
// method answers when the disk is full, what the files hold afterwards, and what
// becomes of damaged files.
func CertificateTroubles(t *testing.T, fresh func(*testing.T) TroubledFiles) {
	names(t, "CertificateTroubles")
	notWritten := func(t *testing.T, err error) {
		t.Helper()
		if !errors.Is(err, ports.ErrNotWritten) {
			t.Errorf("error %v, want one of kind %q", err, ports.ErrNotWritten)
		}
		for n := range 3 {
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), privateKey(n).Reveal()) {
				t.Error("key material in the error")
			}
		}
	}
	t.Run("keeping the previous files leaves the present ones, and can be called again", func(t *testing.T) {
		is := is.New(t)
		p := fresh(t)
		is.NoErr(p.Open().Install(t.Context(), certificates(1)))
		end := p.Full()
		notWritten(t, p.Open().KeepPrevious(t.Context()))
		holds(t, p.Open(), certificates(1))
		end()
		is.NoErr(p.Open().KeepPrevious(t.Context()))
		is.NoErr(p.Open().Install(t.Context(), certificates(2)))
		is.NoErr(p.Open().RestorePrevious(t.Context()))
		holds(t, p.Open(), certificates(1))
	})
	t.Run("an install is completed by another, and the previous files come back", func(t *testing.T) {
		is := is.New(t)
		p := fresh(t)
		is.NoErr(p.Open().Install(t.Context(), certificates(1)))
		is.NoErr(p.Open().KeepPrevious(t.Context()))
		for range 2 {
			end := p.Full()
			notWritten(t, p.Open().Install(t.Context(), certificates(2)))
			end()
			is.NoErr(p.Open().Install(t.Context(), certificates(2)))
			holds(t, p.Open(), certificates(2))
			is.NoErr(p.Open().RestorePrevious(t.Context()))
			holds(t, p.Open(), certificates(1))
		}
	})
	t.Run("the revocation list stays as it was", func(t *testing.T) {
		is := is.New(t)
		p := fresh(t)
		is.NoErr(p.Open().Install(t.Context(), certificates(1)))
		end := p.Full()
		notWritten(t, p.Open().InstallCRL(t.Context(), certificates(2).CRL))
		holds(t, p.Open(), certificates(1))
		end()
		is.NoErr(p.Open().InstallCRL(t.Context(), certificates(2).CRL))
		want := certificates(1)
		want.CRL = certificates(2).CRL
		holds(t, p.Open(), want)
	})
	t.Run("what is damaged is set aside, and does not come back", func(t *testing.T) {
		is := is.New(t)
		p := fresh(t)
		found, err := p.Open().Read(t.Context())
		is.NoErr(err)
		aside := damaged(found.Key.Path, found.CRL.Path)
		is.NoErr(p.Open().SetAside(t.Context(), aside)) // nothing is there
		is.NoErr(p.Open().Install(t.Context(), certificates(1)))
		is.NoErr(p.Open().SetAside(t.Context(), nil))
		is.NoErr(p.Open().SetAside(t.Context(), damaged(found.Key.Path+".other")))
		holds(t, p.Open(), certificates(1))
		left := certificates(1)
		left.Key, left.CRL = ports.Secret{}, nil
		copies := func() {
			t.Helper()
			copied(t, p, found.Key.Path, certificates(1).Key)
			copied(t, p, found.CRL.Path, ports.NewSecret(string(certificates(1).CRL)))
			copied(t, p, found.CA.Path)
			copied(t, p, found.Server.Path)
		}
		for range 2 { // completed after a crash
			is.NoErr(p.Open().SetAside(t.Context(), aside))
			holds(t, p.Open(), left)
			copies()
		}
		is.NoErr(p.Open().KeepPrevious(t.Context()))
		is.NoErr(p.Open().Install(t.Context(), certificates(2)))
		holds(t, p.Open(), certificates(2))
		is.NoErr(p.Open().RestorePrevious(t.Context()))
		is.NoErr(p.Open().DropPrevious(t.Context()))
		holds(t, p.Open(), left)
		copies()
	})
	t.Run("the newest three of what was damaged are kept", func(t *testing.T) {
		is := is.New(t)
		p := fresh(t)
		found, err := p.Open().Read(t.Context())
		is.NoErr(err)
		for n := range 5 {
			is.NoErr(p.Open().Install(t.Context(), certificates(n)))
			is.NoErr(p.Open().SetAside(t.Context(), damaged(found.Key.Path)))
		}
		copied(t, p, found.Key.Path, certificates(2).Key, certificates(3).Key, certificates(4).Key)
	})
}

// copied fails the test unless these copies, the oldest first, were set aside
// of the file at path.
func copied(t *testing.T, p TroubledFiles, path string, want ...ports.Secret) {
	t.Helper()
	if !slices.EqualFunc(p.Copies(path), want, ports.Secret.Equal) {
		t.Errorf("%s: other copies were set aside than should be", path)
	}
}

func damaged(paths ...string) (files []ports.DamagedFile) {
	for _, path := range paths {
		files = append(files, ports.DamagedFile{Path: path, Reason: "it is empty"})
	}
	return files
}
