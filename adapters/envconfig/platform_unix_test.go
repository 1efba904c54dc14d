//go:build unix

package envconfig

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

func TestJudgeWriters(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		mode fs.FileMode
		gid  uint32
		want string
	}{
		{0o600, 1000, ""},
		{0o644, 0, ""},
		{0o640, 1000, ""},
		{0o660, 0, ""}, // root's group
		{0o620, 1000, "group"},
		{0o660, 1000, "group"},
		{0o602, 1000, "every user"},
		{0o666, 0, "every user"},
	} {
		err := judgeWriters(row.mode, row.gid)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%v of group %d: %v, want %q", row.mode, row.gid, err, row.want)
		}
	}
}

func TestFilesThatOthersMayWrite(t *testing.T) {
	t.Parallel()
	key := write(t, "key", enrollKey)
	src := source(t, "MUSTER_LOG_LEVEL=loud\n", "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY_FILE="+key)
	for _, path := range []string{src.File, key} {
		is.New(t).NoErr(os.Chmod(path, 0o602))
	}
	// The file's other problems show all the same.
	expect(t, problems(t, src), "file "+src.File+": every user may write it", "MUSTER_ENROLLMENT_KEY_FILE (environment): "+key+"|every user", "MUSTER_LOG_LEVEL")

	src.CredentialStored = func(string) bool { return true }
	expect(t, problems(t, src), "file "+src.File+": every user may write it", "MUSTER_ENROLLMENT_KEY_FILE (environment): "+key+"|every user", "MUSTER_LOG_LEVEL")
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read every file")
	}
	key, ca := write(t, "key", enrollKey), caFile(t)
	src := source(t, "", "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "MUSTER_ENROLLMENT_KEY_FILE="+key, "MUSTER_TRUST_CA_FILE="+ca)
	for _, path := range []string{src.File, key, ca} {
		is.New(t).NoErr(os.Chmod(path, 0))
	}
	src.CredentialStored = func(string) bool { return true } // excuses an absent key, not this
	expect(t, problems(t, src), "file "+src.File+"|may not read it", "MUSTER_ENROLLMENT_KEY_FILE|may not read it", "MUSTER_TRUST_CA_FILE|may not read it")
}

// systemd in a container may hand over a directory of credentials that the
// service's user may not look into; the machine must not end at the start limit
// for it.
func TestAClosedCredentialsDirectoryHoldsNoKey(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read every file")
	}
	is := is.New(t)
	key := write(t, "enrollment_key", enrollKey)
	dir := filepath.Dir(key)
	is.NoErr(os.Chmod(dir, 0))
	t.Cleanup(func() { is.NoErr(os.Chmod(dir, 0o700)) }) // to be removed
	c := load(t, source(t, "", "CREDENTIALS_DIRECTORY="+dir))
	is.Equal(len(c.Warnings), 1)
	is.True(strings.Contains(c.Warnings[0], dir))

	is.NoErr(os.Chmod(dir, 0o700))
	is.NoErr(os.Chmod(key, 0))
	expect(t, problems(t, source(t, "", "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A", "CREDENTIALS_DIRECTORY="+dir)),
		"$CREDENTIALS_DIRECTORY/enrollment_key|may not read it")
}

func TestFIFOsDoNotBlock(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	is.New(t).NoErr(syscall.Mkfifo(fifo, 0o600))
	expect(t, problems(t, Source{File: fifo}), "regular file")
	expect(t, problems(t, source(t, "", "MUSTER_TRUST_CA_FILE="+fifo, "MUSTER_ENROLLMENT_KEY_FILE="+fifo, "MUSTER_SERVER_URL=https://h", "MUSTER_SITE_CODE=A")),
		"MUSTER_TRUST_CA_FILE|regular file", "MUSTER_ENROLLMENT_KEY_FILE|regular file")
}
