package contracttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/ports"
)

// CertificateFiles is the suite of ports.CertificateFiles. Each call of fresh
// makes an empty place; each call of open stands for the start of a process
// there, the one before having ended.
func CertificateFiles[S ports.CertificateFiles](t *testing.T, fresh func(*testing.T) (open func() S)) {
	names(t, "CertificateFiles")
	t.Run("an empty place has no files, at paths of their own", func(t *testing.T) {
		is := is.New(t)
		found, err := fresh(t)().Read(t.Context())
		is.NoErr(err)
		paths := map[string]bool{}
		for _, f := range []ports.FoundFile{found.CA, found.Server, found.CRL, keyFile(found.Key)} {
			same(t, f, ports.FoundFile{Path: f.Path, Err: ports.FileMissing{}})
			is.True(f.Path != "")
			paths[f.Path] = true
		}
		is.Equal(len(paths), 4)
	})
	for name, set := range map[string]ports.CertificateSet{
		"full":           certificates(1),
		"without a list": {CA: []byte("ca"), Server: []byte("server"), Key: privateKey(1)},
		"not text":       {CA: []byte{0, 0xff, '\r', '\n'}, Server: []byte("\x00"), Key: ports.NewSecret("\xff\x00"), CRL: []byte{0xfe}},
		"long":           {CA: []byte(strings.Repeat("0123456789abcde\n", 1<<15)), Server: []byte("server"), Key: privateKey(1), CRL: []byte(strings.Repeat("0123456789abcde\n", 1<<19))},
	} {
		t.Run("read back after a restart: "+name, func(t *testing.T) {
			open := fresh(t)
			f := open()
			is.New(t).NoErr(f.Install(t.Context(), set))
			holds(t, f, set)
			holds(t, open(), set)
		})
	}
	t.Run("a set without a list leaves the present one", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().Install(t.Context(), certificates(1)))
		next := certificates(2)
		next.CRL = nil
		is.NoErr(open().Install(t.Context(), next))
		next.CRL = certificates(1).CRL
		holds(t, open(), next)
	})
	t.Run("the list alone", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().InstallCRL(t.Context(), []byte("first")))
		holds(t, open(), ports.CertificateSet{CRL: []byte("first")})
		is.NoErr(open().Install(t.Context(), certificates(1)))
		is.NoErr(open().InstallCRL(t.Context(), []byte("second")))
		want := certificates(1)
		want.CRL = []byte("second")
		holds(t, open(), want)
	})
	t.Run("the previous set comes back", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().Install(t.Context(), certificates(1)))
		is.NoErr(open().KeepPrevious(t.Context()))
		holds(t, open(), certificates(1)) // still in place
		is.NoErr(open().KeepPrevious(t.Context()))
		is.NoErr(open().Install(t.Context(), certificates(2)))
		is.NoErr(open().Install(t.Context(), certificates(2))) // completed after a crash
		holds(t, open(), certificates(2))
		is.NoErr(open().RestorePrevious(t.Context()))
		holds(t, open(), certificates(1))
		is.NoErr(open().RestorePrevious(t.Context())) // as after a crash
		holds(t, open(), certificates(1))
		is.NoErr(open().DropPrevious(t.Context()))
		holds(t, open(), certificates(1))
		is.NoErr(open().DropPrevious(t.Context()))
	})
	t.Run("the previous set comes back over nothing", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().Install(t.Context(), certificates(1)))
		is.NoErr(open().KeepPrevious(t.Context()))
		is.NoErr(open().RestorePrevious(t.Context())) // nothing was installed
		holds(t, open(), certificates(1))
		is.NoErr(open().Install(t.Context(), certificates(2)))
		is.NoErr(open().RestorePrevious(t.Context()))
		holds(t, open(), certificates(1))
	})
	t.Run("what had no previous file is removed", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().KeepPrevious(t.Context()))
		is.NoErr(open().Install(t.Context(), certificates(1)))
		is.NoErr(open().RestorePrevious(t.Context()))
		is.NoErr(open().RestorePrevious(t.Context()))
		holds(t, open(), ports.CertificateSet{})

		is.NoErr(open().InstallCRL(t.Context(), []byte("list")))
		is.NoErr(open().KeepPrevious(t.Context()))
		is.NoErr(open().Install(t.Context(), certificates(1)))
		is.NoErr(open().RestorePrevious(t.Context()))
		holds(t, open(), ports.CertificateSet{CRL: []byte("list")})
	})
	t.Run("what was kept before is gone", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		is.NoErr(open().Install(t.Context(), certificates(1)))
		is.NoErr(open().KeepPrevious(t.Context()))
		bare := certificates(2)
		bare.CRL = nil
		is.NoErr(open().Install(t.Context(), bare))
		is.NoErr(open().KeepPrevious(t.Context()))
		is.NoErr(open().Install(t.Context(), certificates(3)))
		is.NoErr(open().RestorePrevious(t.Context()))
		bare.CRL = certificates(1).CRL
		holds(t, open(), bare)

		open = fresh(t)
		is.NoErr(open().Install(t.Context(), certificates(1)))
		is.NoErr(open().KeepPrevious(t.Context()))
		is.NoErr(open().DropPrevious(t.Context()))
		is.NoErr(open().KeepPrevious(t.Context()))
		is.NoErr(open().Install(t.Context(), certificates(2)))
		is.NoErr(open().RestorePrevious(t.Context()))
		holds(t, open(), certificates(1))
	})
	t.Run("everything is erased", func(t *testing.T) {
		is := is.New(t)
		open := fresh(t)
		f := open()
		is.NoErr(f.Install(t.Context(), certificates(1)))
		is.NoErr(f.KeepPrevious(t.Context()))
		is.NoErr(f.Install(t.Context(), certificates(2)))
		found, err := f.Read(t.Context())
		is.NoErr(err)
		removed, err := f.Erase(t.Context())
		is.NoErr(err)
		for _, path := range []string{found.CA.Path, found.Server.Path, found.Key.Path, found.CRL.Path} {
			is.True(slices.Contains(removed, path)) // says what is gone
		}
		for _, f := range []ports.CertificateFiles{f, open()} {
			holds(t, f, ports.CertificateSet{})
			is.NoErr(f.RestorePrevious(t.Context()))
			holds(t, f, ports.CertificateSet{}) // none was kept
			removed, err := f.Erase(t.Context())
			is.NoErr(err)
			is.Equal(len(removed), 0)
		}
	})
	t.Run("what is handed over is copied", func(t *testing.T) {
		is := is.New(t)
		f := fresh(t)()
		set, list := certificates(1), []byte("list")
		is.NoErr(f.Install(t.Context(), set))
		is.NoErr(f.InstallCRL(t.Context(), list))
		is.NoErr(f.KeepPrevious(t.Context()))
		found, err := f.Read(t.Context())
		is.NoErr(err)
		overwrite(reflect.ValueOf(set))
		overwrite(reflect.ValueOf(list))
		overwrite(reflect.ValueOf(found))
		want := certificates(1)
		want.CRL = []byte("list")
		holds(t, f, want)
		is.NoErr(f.RestorePrevious(t.Context()))
		holds(t, f, want)
	})
	t.Run("a done context is answered with its error and changes nothing", func(t *testing.T) {
		is := is.New(t)
		f := fresh(t)()
		is.NoErr(f.Install(t.Context(), certificates(1)))
		is.NoErr(f.KeepPrevious(t.Context()))
		is.NoErr(f.Install(t.Context(), certificates(2)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		found, err := f.Read(t.Context())
		is.NoErr(err)
		_, err = f.Read(ctx)
		_, eraseErr := f.Erase(ctx)
		for _, err := range []error{
			err, eraseErr, f.SetAside(ctx, damaged(found.CA.Path)), f.KeepPrevious(ctx), f.Install(ctx, certificates(3)), f.InstallCRL(ctx, []byte("list")),
			f.RestorePrevious(ctx), f.DropPrevious(ctx),
		} {
			is.True(errors.Is(err, context.Canceled))
		}
		holds(t, f, certificates(2))
		is.NoErr(f.RestorePrevious(t.Context()))
		holds(t, f, certificates(1))
	})
	t.Run("concurrent calls each take effect as a whole", func(t *testing.T) {
		f := fresh(t)()
		is.New(t).NoErr(f.Install(t.Context(), certificates(0)))
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				for range 5 {
					if err := f.Install(t.Context(), certificates(n)); err != nil {
						t.Errorf("install: %v", err)
					}
				}
			})
			all.Go(func() {
				for range 20 {
					got, err := f.Read(t.Context())
					if err != nil {
						t.Errorf("read: %v", err)
						continue
					}
					one := false
					for n := range 4 {
						one = one || equal(setOf(got), certificates(n))
					}
					if !one {
						t.Errorf("read a mixture: %v", got)
					}
				}
			})
		}
		all.Wait()
	})
}

// holds fails the test unless the files hold the set and those for which it has
// nothing are missing.
func holds(t *testing.T, f ports.CertificateFiles, want ports.CertificateSet) {
	t.Helper()
	found, err := f.Read(t.Context())
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if !equal(setOf(found), want) {
		t.Errorf("the files hold another set")
	}
	for _, file := range []struct {
		found ports.FoundFile
		want  []byte
	}{
		{found.CA, want.CA},
		{found.Server, want.Server},
		{found.CRL, want.CRL},
		{keyFile(found.Key), []byte(want.Key.Reveal())},
	} {
		if file.found.Missing() != (len(file.want) == 0) || file.found.Err != nil && !file.found.Missing() {
			t.Errorf("%s: %#v", file.found.Path, file.found.Err)
		}
	}
}

func setOf(f ports.FoundSet) ports.CertificateSet {
	return ports.CertificateSet{CA: f.CA.PEM, Server: f.Server.PEM, Key: f.Key.PEM, CRL: f.CRL.PEM}
}

// keyFile is the key's file without its content.
func keyFile(k ports.FoundKey) ports.FoundFile {
	return ports.FoundFile{Path: k.Path, Err: k.Err}
}

func certificates(n int) ports.CertificateSet {
	return ports.CertificateSet{
		CA:     fmt.Appendf(nil, "ca %d\n", n),
		Server: fmt.Appendf(nil, "leaf %d\nintermediate %d\n", n, n),
		Key:    privateKey(n),
		CRL:    fmt.Appendf(nil, "crl %d\n", n),
	}
}
