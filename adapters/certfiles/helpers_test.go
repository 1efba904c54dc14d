package certfiles

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/muster-agent/muster/ports"
)

const canary = "-----BEGIN PRIVATE KEY-----canary0123456789"

func set(n string) ports.CertificateSet {
	return ports.CertificateSet{
		CA: []byte("ca " + n), Server: []byte("server " + n), Key: ports.NewSecret(canary + n), CRL: []byte("crl " + n),
	}
}

// at are the four files below dir, under the names of docs/SPEC.md, "Files,
// and what happens when one is lost".
func at(dir string) Paths {
	return Paths{
		CA: filepath.Join(dir, "ca.pem"), Server: filepath.Join(dir, "server.pem"),
		Key: filepath.Join(dir, "server.key.pem"), CRL: filepath.Join(dir, "crl.pem"),
	}
}

// apart are paths in three directories.
func apart(dir string) Paths {
	return Paths{
		CA: filepath.Join(dir, "trust", "ca.pem"), Server: filepath.Join(dir, "server.pem"),
		Key: filepath.Join(dir, "private", "key.pem"), CRL: filepath.Join(dir, "trust", "crl.pem"),
	}
}

func certsDir(t testing.TB) string { return filepath.Join(t.TempDir(), "certs") }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func read1(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

// tree lists everything below path but directories, relative to it.
func tree(t testing.TB, path string) (files []string) {
	t.Helper()
	must(t, filepath.WalkDir(path, func(p string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			p, err = filepath.Rel(path, p)
			files = append(files, filepath.ToSlash(p))
		}
		return err
	}))
	return files
}

func content(t testing.TB, f *Files) ports.CertificateSet {
	t.Helper()
	found, err := f.Read(t.Context())
	must(t, err)
	return ports.CertificateSet{CA: found.CA.PEM, Server: found.Server.PEM, Key: found.Key.PEM, CRL: found.CRL.PEM}
}

func holds(t testing.TB, f *Files, want ports.CertificateSet) {
	t.Helper()
	got := content(t, f)
	if string(got.CA) != string(want.CA) || string(got.Server) != string(want.Server) || string(got.CRL) != string(want.CRL) || !got.Key.Equal(want.Key) {
		t.Errorf("found %s, want %s", got, want)
	}
}
