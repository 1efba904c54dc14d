package cert_test

import (
	"os"
	"path"
	"testing"
	"time"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// The certificates of testdata/make.sh are valid for the year 2026 unless
// their names say otherwise. The jitter puts their renewal between 26 July and
// 1 September.
var (
	march   = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
)

// file reads a file of testdata as an adapter would.
func file(t testing.TB, name string) ports.FoundFile {
	t.Helper()
	f := ports.FoundFile{Path: path.Join("testdata", name)}
	info, err := os.Stat(f.Path)
	switch {
	case os.IsNotExist(err):
		f.Err = ports.FileMissing{}
		return f
	case err != nil:
		t.Fatal(err)
	case info.IsDir():
		f.Err = ports.FileDirectory{}
		return f
	}
	if f.PEM, err = os.ReadFile(f.Path); err != nil {
		t.Fatal(err)
	}
	return f
}

func keyFile(t testing.TB, name string) ports.FoundKey {
	t.Helper()
	f := file(t, name)
	return ports.FoundKey{Path: f.Path, PEM: ports.NewSecret(string(f.PEM)), Err: f.Err}
}

// set is the files of one case, without folder and ending.
func set(t testing.TB, folder, ca, server, key string) cert.Files {
	t.Helper()
	return cert.Files{
		CA:     file(t, path.Join(folder, ca+".pem")),
		Server: file(t, path.Join(folder, server+".pem")),
		Key:    keyFile(t, path.Join(folder, key+".key")),
	}
}
