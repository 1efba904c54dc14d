package contracttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// Store is every store of one state directory, so that the suite of
// ports.StateDirectory can see what is moved.
type Store interface {
	ports.CredentialStore
	ports.IdentityStore
	ports.RetryStore
	ports.IssueJournal
	ports.StateDirectory
}

// CredentialStore is the suite of ports.CredentialStore. Each call of fresh makes
// an empty place; each call of open stands for the start of a process there, the
// one before having ended.
func CredentialStore[S ports.CredentialStore](t *testing.T, fresh func(*testing.T) (open func() S)) {
	names(t, "CredentialStore")
	keeps(t, subject[ports.Credential]{
		fresh: func(t *testing.T) func() accessors[ports.Credential] {
			open := fresh(t)
			return func() accessors[ports.Credential] {
				s := open()
				return accessors[ports.Credential]{s.Load, s.Save}
			}
		},
		value: credential,
		values: map[string]ports.Credential{
			"full":             credential(1),
			"without identity": {Key: key(2), ServerURL: "https://a.example", SiteCode: "A", MachineUID: uid(2), StoredAt: instant(2)},
			"unusual text": {
				Key: ports.NewSecret("cak_<&>\"\\/ \u2028é" + strings.Repeat("k", 20)), ServerURL: "https://[::1]:8443/päth/",
				SiteCode: "ACME <HQ>\x7f", MachineUID: uid(3), StoredAt: time.Date(1970, 1, 1, 0, 0, 0, 1, time.UTC),
			},
			"long": {Key: ports.NewSecret("cak_" + strings.Repeat("0123456789abcdef", 4096)), ServerURL: "https://a.example", SiteCode: "A", MachineUID: uid(4), StoredAt: instant(4)},
		},
	})

	t.Run("a placeholder leaves what is stored untouched", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		s := open()
		is.NoErr(s.Reserve(t.Context()))
		_, err := s.Load(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored)) // nothing was stored
		is.NoErr(s.Save(t.Context(), credential(1)))
		is.NoErr(s.Reserve(t.Context()))
		is.NoErr(s.Reserve(t.Context())) // once for each request
		same(t, load(t, s.Load), credential(1))
		same(t, load(t, open().Load), credential(1)) // stopped before the answer
		s = open()
		is.NoErr(s.Reserve(t.Context()))
		is.NoErr(s.Save(t.Context(), credential(2)))
		same(t, load(t, s.Load), credential(2))
		same(t, load(t, open().Load), credential(2))
	})
	t.Run("a placeholder alone is nothing stored", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().Reserve(t.Context()))
		_, err := open().Load(t.Context())
		is.True(errors.Is(err, ports.ErrNotStored))
	})
	t.Run("a done context changes nothing", func(t *testing.T) {
		is := is.New(t)
		s := fresh(t)()
		is.NoErr(s.Save(t.Context(), credential(1)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is.True(errors.Is(s.Reserve(ctx), context.Canceled))
		same(t, load(t, s.Load), credential(1))
	})
	t.Run("no error holds the key", func(t *testing.T) {
		is := is.New(t)
		s := fresh(t)()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range []error{
			s.Save(ctx, credential(1)),
			s.Save(t.Context(), ports.Credential{Key: credential(1).Key, StoredAt: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}),
		} {
			is.True(!strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), credential(1).Key.Reveal()))
		}
	})
	t.Run("the protection is named", func(t *testing.T) {
		if p := fresh(t)().Protection(); !slices.Contains([]string{"file", "dpapi"}, p) {
			t.Errorf("Protection() = %q", p)
		}
	})
}

// IdentityStore is the suite of ports.IdentityStore; see CredentialStore.
func IdentityStore[S ports.IdentityStore](t *testing.T, fresh func(*testing.T) (open func() S)) {
	names(t, "IdentityStore")
	full := identity(1)
	keeps(t, subject[ports.Identity]{
		fresh: func(t *testing.T) func() accessors[ports.Identity] {
			open := fresh(t)
			return func() accessors[ports.Identity] {
				s := open()
				return accessors[ports.Identity]{s.LoadIdentity, s.SaveIdentity}
			}
		},
		value: identity,
		values: map[string]ports.Identity{
			"full":               full,
			"saved by identify":  {MachineUID: full.MachineUID, Source: full.Source, Salt: full.Salt, Hashes: full.Hashes, CreatedAt: full.CreatedAt},
			"empty hashes":       {AgentID: full.AgentID, MachineUID: full.MachineUID, Source: ports.SourceRandom, Salt: []byte{}, Hashes: map[ports.SignalKind]string{}, CreatedAt: full.CreatedAt},
			"no hashes, no salt": {AgentID: full.AgentID, MachineUID: full.MachineUID, Source: ports.SourceConfigured},
		},
	})
}

// RetryStore is the suite of ports.RetryStore; see CredentialStore.
func RetryStore[S ports.RetryStore](t *testing.T, fresh func(*testing.T) (open func() S)) {
	names(t, "RetryStore")
	keeps(t, subject[ports.RetryRecord]{
		fresh: func(t *testing.T) func() accessors[ports.RetryRecord] {
			open := fresh(t)
			return func() accessors[ports.RetryRecord] {
				s := open()
				return accessors[ports.RetryRecord]{s.LoadRetries, s.SaveRetries}
			}
		},
		value: retries,
		values: map[string]ports.RetryRecord{
			"full":       retries(1),
			"zero":       {},
			"empty maps": {Activities: map[ports.Activity]ports.RetryEntry{}, Obeyed: map[string]time.Time{}},
			"an entry of nothing": {
				Activities: map[ports.Activity]ports.RetryEntry{ports.ActivityRelay: {}},
				Obeyed:     map[string]time.Time{"reenroll": {}},
			},
			"another time zone": {Obeyed: map[string]time.Time{"reenroll": instant(1).In(time.FixedZone("", 5400))}},
		},
	})
}

// StateDirectory is the suite of ports.StateDirectory; see CredentialStore.
func StateDirectory[S Store](t *testing.T, fresh func(*testing.T) (open func() S)) {
	names(t, "StateDirectory")
	t.Run("everything is moved out of the way", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		s := open()
		fill(t, s)
		is.NoErr(s.Reserve(t.Context()))
		is.NoErr(s.ReserveBundle(t.Context()))
		where, err := s.SetAside(t.Context())
		is.NoErr(err)
		is.True(where != "") // says where to
		for _, s := range []Store{s, open()} {
			noneButTheIdentity(t, s)
			_, err = s.LoadIdentity(t.Context())
			is.True(errors.Is(err, ports.ErrNotStored))
		}
	})
	t.Run("an enrollment is removed and the machine stays the same one", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		s := open()
		fill(t, s)
		_, err := s.RejectBundle(t.Context())
		is.NoErr(err)
		is.NoErr(s.SaveBundle(t.Context(), received(2)))
		is.NoErr(s.Reserve(t.Context()))
		is.NoErr(s.ReserveBundle(t.Context()))
		removed, err := s.RemoveEnrollment(t.Context())
		is.NoErr(err)
		is.True(len(removed) >= 5) // each record
		for _, s := range []Store{s, open()} {
			noneButTheIdentity(t, s)
			same(t, load(t, s.LoadIdentity), identity(1))
			removed, err := s.RemoveEnrollment(t.Context())
			is.NoErr(err)
			is.Equal(len(removed), 0) // nothing is left
		}
		is.NoErr(s.Save(t.Context(), credential(2))) // it can enroll again
		same(t, load(t, open().Load), credential(2))
	})
	t.Run("the machine goes on as itself", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		s := open()
		is.NoErr(s.Save(t.Context(), credential(1)))
		is.NoErr(s.SaveIdentity(t.Context(), identity(1)))
		first, err := s.SetAside(t.Context())
		is.NoErr(err)
		is.NoErr(s.SaveIdentity(t.Context(), identity(2)))
		is.NoErr(s.Reserve(t.Context()))
		is.NoErr(s.Save(t.Context(), credential(2)))
		is.NoErr(s.ReserveBundle(t.Context()))
		is.NoErr(s.SaveBundle(t.Context(), received(2)))
		same(t, load(t, open().Load), credential(2))
		same(t, load(t, open().LoadIdentity), identity(2))
		same(t, load(t, open().LoadBundle), received(2))

		second, err := s.SetAside(t.Context()) // cloned once more
		is.NoErr(err)
		is.True(second != "" && second != first) // a place of its own
	})
	t.Run("a done context changes nothing", func(t *testing.T) {
		is := is.New(t)
		s := fresh(t)()
		is.NoErr(s.SaveIdentity(t.Context(), identity(1)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.SetAside(ctx)
		is.True(errors.Is(err, context.Canceled))
		is.True(errors.Is(s.Newer(ctx), context.Canceled))
		_, err = s.RemoveEnrollment(ctx)
		is.True(errors.Is(err, context.Canceled))
		same(t, load(t, s.LoadIdentity), identity(1))
	})
}

// noneButTheIdentity checks that no other record is stored.
func noneButTheIdentity(t *testing.T, s Store) {
	t.Helper()
	_, credential := s.Load(t.Context())
	_, retries := s.LoadRetries(t.Context())
	_, pending := s.LoadPending(t.Context())
	_, key := s.LoadKey(t.Context())
	_, bundle := s.LoadBundle(t.Context())
	for _, err := range []error{credential, retries, pending, key, bundle} {
		is.New(t).True(errors.Is(err, ports.ErrNotStored)) // nothing is stored
	}
}

// fill stores one of every record.
func fill(t *testing.T, s Store) {
	t.Helper()
	is := is.New(t)
	is.NoErr(s.Save(t.Context(), credential(1)))
	is.NoErr(s.SaveIdentity(t.Context(), identity(1)))
	is.NoErr(s.SaveRetries(t.Context(), retries(1)))
	is.NoErr(s.SavePending(t.Context(), pending(1)))
	is.NoErr(s.SaveKey(t.Context(), privateKey(1)))
	is.NoErr(s.SaveBundle(t.Context(), received(1)))
}

// accessors are the methods of an open store for one record.
type accessors[T any] struct {
	load func(context.Context) (T, error)
	save func(context.Context, T) error
}

// subject is a record under test.
type subject[T any] struct {
	fresh  func(*testing.T) (open func() accessors[T])
	value  func(n int) T // a different one for each n
	values map[string]T
}

// keeps tests what a store promises for every record.
func keeps[T any](t *testing.T, s subject[T]) {
	t.Run("an empty place says that nothing is stored", func(t *testing.T) {
		_, err := s.fresh(t)().load(t.Context())
		if !errors.Is(err, ports.ErrNotStored) {
			t.Errorf("error %v, want ErrNotStored", err)
		}
	})
	for name, want := range s.values {
		t.Run("read back after a restart: "+name, func(t *testing.T) {
			open := s.fresh(t)
			store := open()
			is.New(t).NoErr(store.save(t.Context(), want))
			same(t, load(t, store.load), want)
			same(t, load(t, open().load), want)
		})
	}
	t.Run("the newest save counts", func(t *testing.T) {
		open := s.fresh(t)
		for n := range 5 {
			is.New(t).NoErr(open().save(t.Context(), s.value(n)))
		}
		same(t, load(t, open().load), s.value(4))
	})
	t.Run("what is handed over is copied", func(t *testing.T) {
		store := s.fresh(t)()
		v := s.value(1)
		is.New(t).NoErr(store.save(t.Context(), v))
		overwrite(reflect.ValueOf(v))
		got := load(t, store.load)
		same(t, got, s.value(1))
		overwrite(reflect.ValueOf(got))
		same(t, load(t, store.load), s.value(1))
	})
	t.Run("a done context is answered with its error and changes nothing", func(t *testing.T) {
		is := is.New(t)
		store := s.fresh(t)()
		is.NoErr(store.save(t.Context(), s.value(1)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is.True(errors.Is(store.save(ctx, s.value(2)), context.Canceled))
		_, err := store.load(ctx)
		is.True(errors.Is(err, context.Canceled))
		same(t, load(t, store.load), s.value(1))
	})
	t.Run("concurrent calls each take effect as a whole", func(t *testing.T) {
		open := s.fresh(t)
		store := open()
		is.New(t).NoErr(store.save(t.Context(), s.value(0)))
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				for range 5 {
					if err := store.save(t.Context(), s.value(n)); err != nil {
						t.Errorf("save: %v", err)
					}
				}
			})
			all.Go(func() {
				for range 20 {
					got, err := store.load(t.Context())
					if err != nil {
						t.Errorf("load: %v", err)
						continue
					}
					if !s.one(got, 4) {
						t.Errorf("loaded a mixture: %v", got)
					}
				}
			})
		}
		all.Wait()
		if !s.one(load(t, open().load), 4) {
			t.Error("stored a mixture")
		}
	})
}

// one reports whether got is one of the first n values.
func (s subject[T]) one(got T, n int) bool {
	for i := range n {
		if equal(got, s.value(i)) {
			return true
		}
	}
	return false
}

func load[T any](t *testing.T, f func(context.Context) (T, error)) T {
	t.Helper()
	v, err := f(t.Context())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return v
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// equal compares deeply: times by their instant, and nil equals empty.
func equal[T any](a, b T) bool { return deepEqual(reflect.ValueOf(a), reflect.ValueOf(b)) }

func deepEqual(a, b reflect.Value) bool {
	switch x := a.Interface().(type) {
	case time.Time:
		return x.Equal(b.Interface().(time.Time))
	case ports.Secret:
		return x.Equal(b.Interface().(ports.Secret))
	case []byte:
		return bytes.Equal(x, b.Interface().([]byte))
	}
	switch a.Kind() {
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || deepEqual(a.Elem(), b.Elem()))
	case reflect.Struct:
		for i := range a.NumField() {
			if !deepEqual(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		for _, k := range a.MapKeys() {
			if v := b.MapIndex(k); !v.IsValid() || !deepEqual(a.MapIndex(k), v) {
				return false
			}
		}
		return a.Len() == b.Len()
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !deepEqual(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	default:
		return a.Interface() == b.Interface()
	}
}

// overwrite zeroes all memory that a copy of v would share.
func overwrite(v reflect.Value) {
	if _, ok := v.Interface().(time.Time); ok {
		return
	}
	if _, ok := v.Interface().(ports.Secret); ok {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			overwrite(v.Elem())
			v.Elem().SetZero()
		}
	case reflect.Struct:
		for i := range v.NumField() {
			overwrite(v.Field(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			overwrite(v.MapIndex(k))
		}
		v.Clear()
	case reflect.Slice:
		for i := range v.Len() {
			overwrite(v.Index(i))
			v.Index(i).SetZero()
		}
	}
}

func key(n int) ports.Secret {
	return ports.NewSecret("cak_" + strings.Repeat(fmt.Sprint(n%10), 40))
}

func uid(n int) string { return fmt.Sprintf("muid_%064x", n) }

// instant is a time that needs every digit of a nanosecond.
func instant(n int) time.Time { return time.Date(2026, 2, 3, 4, 5, n, 123456789, time.UTC) }

func identity(n int) ports.Identity {
	return ports.Identity{
		AgentID:    fmt.Sprintf("6f1c0f6e-52a4-4d4e-9a39-%012d", n),
		MachineUID: uid(n),
		Source:     ports.SourceBaseboardDisk,
		Salt:       []byte{0, 0xff, byte(n)},
		Hashes: map[ports.SignalKind]string{
			ports.SignalBaseboardSerial: fmt.Sprintf("%064x", n),
			ports.SignalDiskSerial:      fmt.Sprintf("%064x", n+1),
		},
		CreatedAt: instant(n),
	}
}

func credential(n int) ports.Credential {
	return ports.Credential{
		Key:        key(n),
		ServerURL:  fmt.Sprintf("https://enroll-%d.example.org/muster/", n),
		SiteCode:   fmt.Sprintf("ACME-%d", n),
		MachineUID: uid(n),
		StoredAt:   instant(n),
		Identity:   identity(n),
	}
}

func retries(n int) ports.RetryRecord {
	return ports.RetryRecord{
		Activities: map[ports.Activity]ports.RetryEntry{
			ports.ActivitySite: {
				Target:      fmt.Sprintf("%064x", n),
				Attempts:    map[ports.DelayClass]int{ports.Transient: n, ports.Pending: 2, ports.Operator: 3},
				LastAttempt: instant(n),
				NotBefore:   instant(n + 1),
				Next:        instant(n + 2),
				Class:       ports.Operator,
				Since:       instant(n + 3),
				State:       "rejected",
				LastError:   "the server answered 401: <wrong> \"key\" & more\n",
				Refusal: ports.Refusal{
					Since:     instant(n + 4),
					Code:      "UNKNOWN_AGENT",
					Count:     2,
					CodeSince: instant(n + 5),
				},
			},
			ports.ActivityRelay: {Target: "other", Class: ports.Transient},
		},
		Obeyed: map[string]time.Time{"reenroll": instant(n + 7)},
	}
}
