package cert_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// part is one of four files: its path, and how its content and its error are set.
type part struct {
	path string
	set  func(f *cert.Files, content string, err ports.FileError)
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	sound := set(t, "openssl", "root", "ec", "ec")
	sound.CRL = file(t, "openssl/crl.pem")
	is.New(t).Equal(cert.Damaged(sound), nil)
	is.New(t).Equal(cert.Damaged(cert.Files{}), nil)

	found := func(of func(*cert.Files) *ports.FoundFile) part {
		return part{of(&sound).Path, func(f *cert.Files, content string, err ports.FileError) { of(f).PEM, of(f).Err = []byte(content), err }}
	}
	parts := []part{
		found(func(f *cert.Files) *ports.FoundFile { return &f.CA }),
		found(func(f *cert.Files) *ports.FoundFile { return &f.Server }),
		found(func(f *cert.Files) *ports.FoundFile { return &f.CRL }),
		{sound.Key.Path, func(f *cert.Files, content string, err ports.FileError) {
			f.Key.PEM, f.Key.Err = ports.NewSecret(content), err
		}},
	}
	contents := []string{"", " \n", "PRECIOUS"}
	for _, p := range parts {
		whole := string(file(t, strings.TrimPrefix(p.path, "testdata/")).PEM)
		for _, content := range append(contents, whole[:len(whole)*3/4]) {
			is := is.New(t)
			f := sound
			p.set(&f, content, nil)
			damaged := cert.Damaged(f)
			is.Equal(len(damaged), 1)
			is.Equal(damaged[0].Path, p.path)
			is.Equal(damaged[0].Status, ports.CertCorrupt)
			is.True(strings.Contains(damaged[0].Text, p.path))
			is.True(!strings.Contains(damaged[0].Text, "PRECIOUS")) // quotes nothing of it
		}
		for _, err := range []ports.FileError{ports.FileMissing{}, ports.FileDirectory{}, ports.FileUnreadable{Reason: "permission denied"}} {
			f := sound
			p.set(&f, "", err)
			is.New(t).Equal(cert.Damaged(f), nil) // it was not read
		}
	}

	var got, want []string
	for _, p := range parts {
		p.set(&sound, "PRECIOUS", nil)
		want = append(want, p.path)
	}
	for _, p := range cert.Damaged(sound) {
		got = append(got, p.Path)
	}
	slices.Sort(got)
	slices.Sort(want)
	is.New(t).Equal(got, want) // all at once
}

// It may be mended, or fit another file.
func TestWhatIsUnfitOtherwiseIsNotDamaged(t *testing.T) {
	t.Parallel()
	foreign := set(t, "openssl", "root", "ec", "revoked")
	foreign.CRL = file(t, "openssl/crl-impostor.pem")
	is.New(t).Equal(cert.Damaged(foreign), nil)
	is.New(t).Equal(cert.Judge(foreign, march, cert.Options{}).Status, ports.CertKeyMismatch)
}
