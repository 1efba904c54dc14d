package cert_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/domain/cert"
	"github.com/muster-agent/muster/ports"
)

// TestDamaged spoils one file of a sound set after the other.
func TestDamaged(t *testing.T) {
	t.Parallel()
	sound := set(t, "openssl", "root", "ec", "ec")
	sound.CRL = file(t, "openssl/crl.pem")
	is.New(t).Equal(cert.Damaged(sound), nil)
	contents := map[string]func(string) string{
		"sound":      func(s string) string { return s },
		"empty":      func(string) string { return "" },
		"only space": func(string) string { return " \n" },
		"cut short":  func(s string) string { return s[:len(s)*3/4] },
		"garbage":    func(string) string { return "PRECIOUS" },
	}
	parts := map[string]struct {
		path  func(*cert.Files) string
		spoil func(*cert.Files, func(string) string)
		fail  func(*cert.Files, ports.FileError)
	}{
		"ca": {
			func(f *cert.Files) string { return f.CA.Path },
			func(f *cert.Files, how func(string) string) { f.CA.PEM = []byte(how(string(f.CA.PEM))) },
			func(f *cert.Files, err ports.FileError) { f.CA.PEM, f.CA.Err = nil, err },
		},
		"server": {
			func(f *cert.Files) string { return f.Server.Path },
			func(f *cert.Files, how func(string) string) { f.Server.PEM = []byte(how(string(f.Server.PEM))) },
			func(f *cert.Files, err ports.FileError) { f.Server.PEM, f.Server.Err = nil, err },
		},
		"key": {
			func(f *cert.Files) string { return f.Key.Path },
			func(f *cert.Files, how func(string) string) { f.Key.PEM = ports.NewSecret(how(f.Key.PEM.Reveal())) },
			func(f *cert.Files, err ports.FileError) { f.Key.PEM, f.Key.Err = ports.Secret{}, err },
		},
		"list": {
			func(f *cert.Files) string { return f.CRL.Path },
			func(f *cert.Files, how func(string) string) { f.CRL.PEM = []byte(how(string(f.CRL.PEM))) },
			func(f *cert.Files, err ports.FileError) { f.CRL.PEM, f.CRL.Err = nil, err },
		},
	}
	for name, part := range parts {
		for how, content := range contents {
			t.Run(name+": "+how, func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				f := sound
				part.spoil(&f, content)
				damaged := cert.Damaged(f)
				if how == "sound" {
					is.Equal(damaged, nil)
					return
				}
				is.Equal(len(damaged), 1)
				is.Equal(damaged[0].Path, part.path(&f))
				is.Equal(damaged[0].Status, ports.CertCorrupt)
				is.True(strings.Contains(damaged[0].Text, damaged[0].Path)) // names the file
				is.True(!strings.Contains(damaged[0].Text, "PRECIOUS"))     // quotes nothing of it
			})
		}
		for _, err := range []ports.FileError{ports.FileMissing{}, ports.FileDirectory{}, ports.FileUnreadable{Reason: "permission denied"}} {
			f := sound
			part.fail(&f, err)
			is.New(t).Equal(cert.Damaged(f), nil)
		}
	}

	// All at once; and what is not judged.
	var f cert.Files
	is.New(t).Equal(cert.Damaged(f), nil)
	f = sound
	var want []string
	for _, part := range parts {
		part.spoil(&f, contents["garbage"])
		want = append(want, part.path(&f))
	}
	var got []string
	for _, p := range cert.Damaged(f) {
		got = append(got, p.Path)
	}
	slices.Sort(got)
	slices.Sort(want)
	is.New(t).Equal(got, want)
}

// TestWhatIsUnfitOtherwiseIsNotDamaged: it may be mended, or fit another file.
func TestWhatIsUnfitOtherwiseIsNotDamaged(t *testing.T) {
	t.Parallel()
	foreign := set(t, "openssl", "root", "ec", "revoked")
	foreign.CRL = file(t, "openssl/crl-impostor.pem")
	is.New(t).Equal(cert.Damaged(foreign), nil)
	if j := cert.Judge(foreign, march, cert.Options{}); j.Status != ports.CertKeyMismatch {
		t.Fatalf("is %s", j.Status)
	}
}
