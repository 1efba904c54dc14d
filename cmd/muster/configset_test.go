package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/exitcode"
)

func TestConfigSetWritesWhatItReads(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	file := filepath.Join(t.TempDir(), "muster", "agent.env")
	set := func(input string) (exitcode.Code, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"config", "set", "--config", file}, []string{"MUSTER_STATE_DIR=" + filepath.Dir(file)}, strings.NewReader(input), &out, &errs)
		is.Equal(out.String(), "")
		return code, errs.String()
	}
	read := func() string {
		t.Helper()
		content, err := os.ReadFile(file)
		is.NoErr(err)
		return string(content)
	}

	code, _ := set("MUSTER_SERVER_URL=\r\nMUSTER_SITE_CODE=\n")
	is.Equal(code, exitcode.Clean)
	_, err := os.Stat(file)
	is.True(os.IsNotExist(err)) // nothing was given

	code, errs := set("MUSTER_SERVER_URL=https://enroll.example.org\nMUSTER_SITE_CODE=ACME\r\nMUSTER_ENROLLMENT_KEY=cek_aaaaaaaaaaaaaaaaaaaaaaaa\nMUSTER_ENROLLMENT_KEY_FILE=\n")
	is.Equal(errs, "")
	is.Equal(code, exitcode.Clean)
	first := read()
	is.Equal(first, "MUSTER_SERVER_URL='https://enroll.example.org'\nMUSTER_SITE_CODE='ACME'\nMUSTER_ENROLLMENT_KEY='cek_aaaaaaaaaaaaaaaaaaaaaaaa'\n")
	if runtime.GOOS != "windows" { // where it is the access control list that counts
		info, err := os.Stat(file)
		is.NoErr(err)
		is.Equal(info.Mode().Perm(), os.FileMode(0o600))
	}

	// What would be wrong changes nothing, and shows nothing.
	for _, bad := range []string{
		"MUSTER_SERVER_URL=ftp://enroll.example.org\n", "MUSTER_SITE_COD=x\n", "nonsense cek_bbbbbbbbbbbbbbbbbbbbbbbb\n", "MUSTER_ENROLLMENT_KEY=cek_'bbbbbbbbbbbbbbbbbbbbbbb\n",
	} {
		code, errs := set(bad)
		is.Equal(code, exitcode.Error)
		is.True(errs != "")
		is.True(!strings.Contains(errs, "bbbb"))
		is.Equal(read(), first)
	}
	files, err := os.ReadDir(filepath.Dir(file))
	is.NoErr(err)
	is.Equal(len(files), 1)

	code, _ = set("MUSTER_SITE_CODE=OTHER\n")
	is.Equal(code, exitcode.Clean)
	is.Equal(read(), strings.Replace(first, "MUSTER_SITE_CODE='ACME'\n", "", 1)+"MUSTER_SITE_CODE='OTHER'\n")
}
