package envconfig

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/adapters/internal/redact"
)

func TestHalfConfiguredSite(t *testing.T) {
	t.Parallel()
	const server, site, key, shared = "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY=" + enrollKey, "MUSTER_API_KEY=old"
	nowhere := filepath.Join(t.TempDir(), "key")
	for _, row := range []struct {
		environ []string
		fresh   string // what is said without a stored credential
		stored  string // and with one
	}{
		{environ: []string{server, site, key}},
		{[]string{server, site}, "KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", ""},
		{[]string{server, key}, "SITE_CODE missing", "SITE_CODE missing"},
		{[]string{site, key}, "SERVER_URL missing", "SERVER_URL missing"},
		{[]string{server}, "SITE_CODE and MUSTER_ENROLLMENT_KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", "SITE_CODE missing"},
		{[]string{site}, "SERVER_URL and MUSTER_ENROLLMENT_KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", "SERVER_URL missing"},
		{[]string{key}, "SERVER_URL and MUSTER_SITE_CODE missing", "SERVER_URL and MUSTER_SITE_CODE missing"},
		{environ: []string{server, shared}},
		{environ: []string{server, site, key, shared}},
		{[]string{server, site, shared}, "KEY (or MUSTER_ENROLLMENT_KEY_FILE) missing", ""},
		{[]string{shared}, "set MUSTER_SERVER_URL", ""},
		{environ: []string{shared, "MUSTER_RELAY_URL=wss://h"}},
		{environ: []string{"MUSTER_MANAGER_URL=https://h"}},
		// What was given with a bad value is not missing.
		{[]string{"MUSTER_SERVER_URL=ftp://h", site, key}, "ftp", "ftp"},
		{[]string{server, "MUSTER_SITE_CODE=" + enrollKey, key}, "MUSTER_SITE_CODE (environment): the value is a key", "is a key"},
		{[]string{server, site, "MUSTER_ENROLLMENT_KEY_FILE=" + enrollKey}, "is a key", "is a key"},
		{[]string{server, site, "MUSTER_ENROLLMENT_KEY_FILE=" + nowhere}, "MUSTER_ENROLLMENT_KEY_FILE (environment): " + nowhere + " cannot be used: it does not exist", ""},
		{[]string{server, "MUSTER_API_KEY_FILE=" + nowhere}, "MUSTER_API_KEY_FILE (environment): " + nowhere, ""},
	} {
		src := source(t, "", row.environ...)
		for _, stored := range []bool{false, true} {
			want := row.fresh
			if stored {
				want = row.stored
				src.CredentialStored = func(string) bool { return true }
			}
			if want == "" {
				load(t, src)
			} else if got := problems(t, src); len(got) != 1 || !strings.Contains(got[0], want) {
				t.Errorf("%v, stored %v: want %q, got:\n%s", row.environ, stored, want, strings.Join(got, "\n"))
			}
		}
	}
}

func TestCredentialStoredIsAskedOnceWithTheDirectory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	dir, asked := t.TempDir(), []string(nil)
	src := source(t, "", "MUSTER_STATE_DIR="+dir, "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY_FILE=/nowhere/key")
	src.CredentialStored = func(dir string) bool {
		asked = append(asked, dir)
		return true
	}
	load(t, src)
	is.Equal(asked, []string{dir})

	asked = nil
	src.Environ = append(src.Environ, "MUSTER_ENROLLMENT_KEY="+enrollKey)
	src.Environ = slices.DeleteFunc(src.Environ, func(e string) bool { return strings.Contains(e, "_FILE=") })
	load(t, src)
	is.Equal(asked, nil) // a complete configuration does not need it
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	site := []string{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A"}
	with := func(more ...string) Source { return source(t, "", slices.Concat(site, more)...) }

	for _, content := range []string{enrollKey, enrollKey + "\n", enrollKey + "\r\n"} {
		file := write(t, "key", content)
		c := load(t, with("MUSTER_ENROLLMENT_KEY_FILE="+file))
		is.True(c.Settings().SiteConfigured()) // with the key of the file
		is.Equal(c.Settings().EnrollmentKey.Reveal(), enrollKey)
		is.Equal(c.Settings().EnrollmentKeyFile, file)
		is.Equal(value(t, c, "MUSTER_ENROLLMENT_KEY"), Value{"MUSTER_ENROLLMENT_KEY", redact.Mark, "file " + file})
		is.Equal(value(t, c, "MUSTER_ENROLLMENT_KEY_FILE"), Value{"MUSTER_ENROLLMENT_KEY_FILE", file, FromEnvironment})
	}
	shared := write(t, "shared", "old-key\n")
	c := load(t, source(t, "MUSTER_API_KEY_FILE='"+shared+"'", site[0]))
	is.Equal(c.Settings().APIKey.Reveal(), "old-key")
	is.Equal(c.Settings().EnrollmentKeyFile, "")

	// Both twins, whatever the sources.
	file := write(t, "key", enrollKey)
	src := with("MUSTER_ENROLLMENT_KEY=" + enrollKey)
	src.File = write(t, "agent.env", "\nMUSTER_ENROLLMENT_KEY_FILE='"+file+"'")
	expect(t, problems(t, src), "MUSTER_ENROLLMENT_KEY_FILE (file "+src.File+", line 2)|MUSTER_ENROLLMENT_KEY (environment) is given too")
	expect(t, problems(t, source(t, "", site[0], "MUSTER_API_KEY=a", "MUSTER_API_KEY_FILE="+shared)), "MUSTER_API_KEY_FILE|MUSTER_API_KEY (environment) is given too")

	for content, word := range map[string]string{
		"":                            "it is empty",
		"\n":                          "it is empty",
		strings.Repeat("a", 64<<10+1): "longer than 64 KiB",
		enrollKey + " \n":             "spaces",
	} {
		file := write(t, "key", content)
		expect(t, problems(t, with("MUSTER_ENROLLMENT_KEY_FILE="+file)), "MUSTER_ENROLLMENT_KEY|"+file+"|"+word)
	}
	load(t, with("MUSTER_ENROLLMENT_KEY_FILE="+write(t, "key", "cek_"+strings.Repeat("a", 64<<10-4))))
	expect(t, problems(t, with("MUSTER_ENROLLMENT_KEY_FILE="+t.TempDir())), "regular file")

	// With a stored credential the key may be gone.
	src = with("MUSTER_ENROLLMENT_KEY_FILE=" + write(t, "key", ""))
	src.CredentialStored = func(string) bool { return true }
	is.True(load(t, src).Settings().EnrollmentKey.Empty())
	is.Equal(load(t, src).Settings().EnrollmentKeyFile, "")
}

func TestCredentialsDirectory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	key := write(t, "enrollment_key", enrollKey+"\n")
	dir := filepath.Dir(key)
	site := []string{"MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "CREDENTIALS_DIRECTORY=" + dir}

	c := load(t, source(t, "", site...))
	is.Equal(c.Settings().EnrollmentKey.Reveal(), enrollKey)
	is.Equal(c.Settings().EnrollmentKeyFile, key)
	is.Equal(value(t, c, "MUSTER_ENROLLMENT_KEY"), Value{"MUSTER_ENROLLMENT_KEY", redact.Mark, FromCredentials})

	c = load(t, source(t, "", append(site, "MUSTER_ENROLLMENT_KEY=cek_other")...))
	is.Equal(c.Settings().EnrollmentKey.Reveal(), "cek_other")
	is.Equal(c.Settings().EnrollmentKeyFile, "")

	is.NoErr(os.WriteFile(key, nil, 0o600))
	expect(t, problems(t, source(t, "", site...)), "MUSTER_ENROLLMENT_KEY (or") // an empty one is none
	is.NoErr(os.Remove(key))
	expect(t, problems(t, source(t, "", site...)), "MUSTER_ENROLLMENT_KEY (or")
	load(t, source(t, "", "CREDENTIALS_DIRECTORY="+dir))
	is.NoErr(os.Mkdir(key, 0o700))
	expect(t, problems(t, source(t, "", site...)), "$CREDENTIALS_DIRECTORY/enrollment_key|regular file")
	is.NoErr(os.Remove(key))
	is.NoErr(os.WriteFile(key, []byte("not-an-enrollment-key"), 0o600))
	expect(t, problems(t, source(t, "", site...)), "MUSTER_ENROLLMENT_KEY (credential directory)|cek_")
}
