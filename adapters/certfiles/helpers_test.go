package certfiles

import (
	"path/filepath"
	"testing"

	"github.com/muster-agent/muster/adapters/internal/durable/disktest"
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

func content(t testing.TB, f *Files) ports.CertificateSet {
	t.Helper()
	found, err := f.Read(t.Context())
	disktest.Must(t, err)
	return ports.CertificateSet{CA: found.CA.PEM, Server: found.Server.PEM, Key: found.Key.PEM, CRL: found.CRL.PEM}
}

func holds(t testing.TB, f *Files, want ports.CertificateSet) {
	t.Helper()
	got := content(t, f)
	if string(got.CA) != string(want.CA) || string(got.Server) != string(want.Server) || string(got.CRL) != string(want.CRL) || !got.Key.Equal(want.Key) {
		t.Errorf("found %s, want %s", got, want)
	}
}
