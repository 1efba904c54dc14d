package envconfig

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/durable"
	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

const siteWithoutKey = "MUSTER_SERVER_URL=https://h\nMUSTER_SITE_CODE=A\n"

// kept is the place of a configuration's key, which is present while one of
// the files holds it.
func kept(t *testing.T, src Source, files ...string) contracttest.KeyPlace {
	t.Helper()
	return contracttest.KeyPlace{Place: load(t, src).EnrollmentKeyPlace(), Present: func() bool {
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if strings.Contains(string(data), enrollKey) {
				return true
			}
		}
		return false
	}}
}

func TestEnrollmentKeyPlace(t *testing.T) {
	t.Parallel()
	inFile := func(t *testing.T) (Source, string) {
		src := source(t, siteWithoutKey+"MUSTER_ENROLLMENT_KEY="+enrollKey+"\n")
		return src, src.File
	}
	ofItsOwn := func(t *testing.T, key string) Source {
		return source(t, siteWithoutKey+"MUSTER_ENROLLMENT_KEY_FILE='"+key+"'\n")
	}
	type places = map[string]func(*testing.T) contracttest.KeyPlace
	removable := places{
		"a file of its own": func(t *testing.T) contracttest.KeyPlace {
			key := write(t, "key", enrollKey+"\n")
			return kept(t, ofItsOwn(t, key), key)
		},
		"a line of the configuration file": func(t *testing.T) contracttest.KeyPlace {
			src, file := inFile(t)
			return kept(t, src, file)
		},
	}
	if runtime.GOOS != "windows" { // there a link needs rights, and Wine makes none
		removable["a link to its file"] = func(t *testing.T) contracttest.KeyPlace {
			key, link := write(t, "key", enrollKey+"\n"), filepath.Join(t.TempDir(), "link")
			is.New(t).NoErr(os.Symlink(key, link))
			return kept(t, ofItsOwn(t, link), key)
		}
	}
	fixed := places{
		"the environment": func(t *testing.T) contracttest.KeyPlace {
			return contracttest.KeyPlace{
				Place:   load(t, source(t, siteWithoutKey, "MUSTER_ENROLLMENT_KEY="+enrollKey)).EnrollmentKeyPlace(),
				Present: func() bool { return true },
			}
		},
		"the environment, and the file": func(t *testing.T) contracttest.KeyPlace {
			src, file := inFile(t)
			src.Environ = append(src.Environ, "MUSTER_ENROLLMENT_KEY="+enrollKey)
			return kept(t, src, file)
		},
		"the credentials of the service manager": func(t *testing.T) contracttest.KeyPlace {
			key := write(t, "enrollment_key", enrollKey)
			return kept(t, source(t, siteWithoutKey, "CREDENTIALS_DIRECTORY="+filepath.Dir(key)), key)
		},
		"the credentials of the service manager, named": func(t *testing.T) contracttest.KeyPlace {
			key := write(t, "some_key", enrollKey)
			src := ofItsOwn(t, key)
			src.Environ = append(src.Environ, "CREDENTIALS_DIRECTORY="+filepath.Dir(key)+"/")
			return kept(t, src, key)
		},
		"a file that cannot be replaced": func(t *testing.T) contracttest.KeyPlace {
			src, file := inFile(t)
			is.New(t).NoErr(os.MkdirAll(filepath.Join(file+durable.NewSuffix, "occupied"), 0o700))
			return kept(t, src, file)
		},
	}
	if os.Geteuid() > 0 { // root may do everything, and Windows has other rights
		locked := func(t *testing.T, file string, mode os.FileMode) {
			dir := filepath.Dir(file)
			is.New(t).NoErr(errors.Join(os.Chmod(file, mode), os.Chmod(dir, 0o500)))
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) // else the test cannot tidy up, and says so
		}
		fixed["a line of a file in a directory that may not be written"] = func(t *testing.T) contracttest.KeyPlace {
			src, file := inFile(t)
			locked(t, file, 0o600)
			return kept(t, src, file)
		}
		fixed["a file of its own that may not be written"] = func(t *testing.T) contracttest.KeyPlace {
			key := write(t, "key", enrollKey)
			locked(t, key, 0o400)
			return kept(t, ofItsOwn(t, key), key)
		}
		removable["a file of its own that may be emptied only"] = func(t *testing.T) contracttest.KeyPlace {
			key := write(t, "key", enrollKey)
			locked(t, key, 0o600)
			return kept(t, ofItsOwn(t, key), key)
		}
		removable["a file of its own that may be removed only"] = func(t *testing.T) contracttest.KeyPlace {
			key := write(t, "key", enrollKey)
			is.New(t).NoErr(os.Chmod(key, 0o400))
			return kept(t, ofItsOwn(t, key), key)
		}
	}
	contracttest.EnrollmentKeyPlace(t, removable, fixed)
}

func TestWithoutAKeyThereIsNoPlaceOfOne(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	is.Equal(load(t, source(t, "MUSTER_MANAGER_URL=https://h")).EnrollmentKeyPlace(), nil)
	src := source(t, siteWithoutKey+"MUSTER_ENROLLMENT_KEY_FILE=/nowhere/key\n")
	src.CredentialStored = func(string) bool { return true }
	is.Equal(load(t, src).EnrollmentKeyPlace(), nil) // it was removed already
}

func TestWithoutItsKeyAConfigurationFileSaysWhatItSaid(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, row := range []struct{ file, want string }{
		{"A=1\nMUSTER_ENROLLMENT_KEY=cek_x\nB=2\n", "A=1\nB=2\n"},
		{"MUSTER_ENROLLMENT_KEY=cek_x", ""},
		{"\ufeff# of the site\r\n MUSTER_ENROLLMENT_KEY = 'cek_x' \r\nB=2\r\n", "\ufeff# of the site\r\nB=2\r\n"},
		{"MUSTER_ENROLLMENT_KEY=cek_x\nA='1\n2'\nMUSTER_ENROLLMENT_KEY=cek_y\n", "A='1\n2'\n"},
		{"A=1\nMUSTER_ENROLLMENT_KEY=\"cek_\\\nx\"\nB=2", "A=1\nB=2"},
		{"A=1\nMUSTER_ENROLLMENT_KEY=cek_\\\nx\nB=2", "A=1\nB=2"},
		{"MUSTER_ENROLLMENT_KEY_FILE=/k\n", "MUSTER_ENROLLMENT_KEY_FILE=/k\n"},
	} {
		got, err := withoutKey(row.file)
		is.NoErr(err)
		is.Equal(got, row.want)
	}
	_, err := withoutKey("MUSTER_ENROLLMENT_KEY=cek_x\rA=1\n") // a lone CR ends a line as systemd sees it
	is.True(err != nil)
}

func FuzzWithoutKey(f *testing.F) {
	f.Add("A=1\nMUSTER_ENROLLMENT_KEY='x\ny'\nB=\"2\\\n\"\n")
	f.Add("MUSTER_ENROLLMENT_KEY=x\\\n\\\r\nB=2\r")
	f.Fuzz(func(t *testing.T, text string) {
		rest, err := withoutKey(text)
		if err != nil {
			return
		}
		after, _ := parseEnvironmentFile(rest)
		for _, a := range after {
			if a.name == enrollmentKeyVariable {
				t.Errorf("%q: a key is left", text)
			}
		}
	})
}

func TestTheConfigurationFileKeepsItsOwnerAndMode(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	src := source(t, siteWithoutKey+"MUSTER_ENROLLMENT_KEY="+enrollKey+"\n")
	is.NoErr(os.Chmod(src.File, 0o640))
	is.NoErr(os.WriteFile(src.File+durable.NewSuffix, []byte("a crash left it"), 0o600))
	before, err := os.Stat(src.File)
	is.NoErr(err)
	place := load(t, src).EnrollmentKeyPlace()
	is.NoErr(place.Forget(t.Context()))
	after, err := os.Stat(src.File)
	is.NoErr(err)
	is.Equal(after.Mode(), before.Mode())
	data, err := os.ReadFile(src.File)
	is.NoErr(err)
	is.Equal(string(data), siteWithoutKey)
	names, err := os.ReadDir(filepath.Dir(src.File))
	is.NoErr(err)
	is.Equal(len(names), 1) // nothing else is left

	src.CredentialStored = func(string) bool { return true }
	c := load(t, src) // and it is a sound one
	is.True(c.Settings().EnrollmentKey.Empty())
	is.Equal(c.Settings().SiteCode, "A")
}

func TestWhatCannotBeRemovedIsSaidWithItsPlace(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	key := write(t, "enrollment_key", enrollKey)
	err := load(t, source(t, siteWithoutKey, "CREDENTIALS_DIRECTORY="+filepath.Dir(key))).EnrollmentKeyPlace().Forget(t.Context())
	is.True(errors.Is(err, ports.ErrNotRemovable))
	is.True(strings.Contains(err.Error(), "/etc/credstore/enrollment_key"))
	is.True(!strings.Contains(err.Error(), enrollKey))
}
